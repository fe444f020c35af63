"""Image report: what was made for a container engine, and what to type next.

It must never look at anything but what it is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from taphouse.cli.shipping.image import USER, Image
from taphouse.cli.shipping.sizes import megabytes

__all__ = ["report"]


def report(image: Image) -> Iterator[str]:
    """Yield lines about an image, and the commands that come next."""
    contents = image.contents
    name = contents.package
    base = f"{image.base}, with {len(image.packages)} Debian packages" if image.packages else image.base
    yield f"{image.path}: {image.reference} for {image.architecture}, {megabytes(image.size)}"
    yield f"  digest    {image.digest}"
    yield f"  base      {base}"
    yield f"  brings    {', '.join(f'{part.name} {part.version}' for part in contents.parts)}"
    yield f"  serves    {', '.join(image.ports) or 'no port'}"
    yield f"  runs as   user {USER}, keeps its state in /var/lib/{name}"
    yield "next:"
    yield f"  podman load -i {image.path}     # or docker, here and below"
    published = "".join(f" -p {_published(port)}" for port in image.ports)
    yield f"  podman run -d --name {name} -v {name}:/var/lib/{name}{published} {image.reference}"
    yield f"  podman exec {name} {name} status"
    yield f"  podman logs {name}"
    yield f"  podman stop {name}"


def _published(port: str) -> str:
    number, _, kind = port.partition("/")
    return f"{number}:{number}" + ("" if kind == "tcp" else f"/{kind}")
