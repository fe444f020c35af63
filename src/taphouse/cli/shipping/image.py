"""Image: a tap, its code and a base, put together for a container engine.

Three layers above the base, the one that changes most on top: what the container
needs of the system, what comes from others, the server itself.  All but the last
have times of their own, so that the next version finds them where it is copied to.
This module must never know how the options were written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Final, Protocol

from taphouse.cli.shipping.contents import Contents, add_contents
from taphouse.cli.shipping.debianbase import debian_base
from taphouse.cli.shipping.launcher import command_words
from taphouse.cli.shipping.outputs import check_output, output_path
from taphouse.cli.shipping.packagetree import check_tree, refuse_account
from taphouse.errors import ConfigurationError
from taphouse.packaging import (
    BaseImage,
    Blob,
    ImageSettings,
    Layout,
    NewLayer,
    PartsSource,
    Rootfs,
    SystemPackage,
    Tree,
    account_name,
    add_accounts,
    bill_of_materials,
    check_libraries,
    check_package_name,
    check_reference,
    check_version,
    choose_image,
    default_reference,
    exposed_ports,
    find_interpreter,
    installed_packages,
    laid_over,
    oci_architecture,
    oci_time,
    package_name,
    unreachable,
    without_epoch,
    write_image,
)
from taphouse.persist import TapInfo, read_info
from taphouse.value import Value, replace

__all__ = ["USER", "Image", "ImageOrder", "make_image"]

USER: Final = 65532
"""The number that images without root agree on for "nobody in particular"."""

_NAMES: Final = "org.opencontainers.image."
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BLOCK: Final = 1 << 16
_FIRST_FREE_PORT: Final = 1024
_TIMELESS: Final = 946684800  # 1 January 2000


class ImageOrder(Value, kw_only=True):
    """What somebody wants.

    Args:
        tap: a seed.
        package: name of the server in the image, "" for the application's.
        version: its version.
        output: the file to make, or the folder for ``PACKAGE_VERSION_ARCHITECTURE.oci.tar``.
        reference: what to call the image, "" for ``localhost/PACKAGE:VERSION``.
        base: an OCI layout, "" for Debian's packages.
        base_tag: name of the image in it.
        python: ``3.11`` for just that one.
        epoch: time of everything, seconds since 1970.
        allowed: modules, as by ``--allow-module``.
        title: one line about it.
        license: SPDX expression, or "".
        source: where its code is to be found, or "".
        authors: who made it, or "".
    """

    tap: str
    package: str = ""
    version: str = "1.0"
    output: str = "."
    reference: str = ""
    base: str = ""
    base_tag: str = ""
    python: str | None = None
    epoch: int | None = None
    allowed: tuple[str, ...] = ()
    title: str = ""
    license: str = ""
    source: str = ""
    authors: str = ""


class Image(Value):
    """What was made.

    Args:
        path: the file.
        reference: what the image is called.
        digest: of its manifest.
        architecture: as OCI calls it.
        size: of the file, in bytes.
        contents: what went in.
        base: what it stands on.
        packages: of Debian, in the base.
        ports: that it exposes.
        notes: lines about what may surprise.
    """

    path: str
    reference: str
    digest: str
    architecture: str
    size: int
    contents: Contents
    base: str
    packages: tuple[SystemPackage, ...]
    ports: tuple[str, ...]
    notes: tuple[str, ...]


class _Base(Protocol):
    """Gives the bytes of layers."""

    def open_blob(self, blob: Blob) -> AbstractContextManager[BinaryIO]:
        """Open a blob; it can seek."""


def make_image(order: ImageOrder, source: PartsSource) -> Image:
    """Write an image archive; the file is whole afterwards, or as it was.

    Args:
        order: what is wanted.
        source: where distributions come from.

    Raises:
        CannotCreateError, NotPermittedError: the file or the cache cannot be written.
        ConfigurationError: the tap cannot be shipped, or the base is not one for it.
        UsageError: a name is none.
    """
    info = read_info(order.tap)
    order = replace(order, package=_package(order, info), version=check_version(order.version))
    # All that can be wrong with the options is found before the costly part.
    reference = check_reference(order.reference or default_reference(order.package, order.version))
    layout = Layout(order.base) if order.base else None
    refuse_account(info)
    inputs = [order.tap, order.base]
    check_output(order.output, inputs)
    tree = Tree()
    contents = add_contents(
        tree,
        order.tap,
        source,
        package=order.package,
        python=order.python,
        epoch=order.epoch,
        allowed=order.allowed,
    )
    check_tree(tree, info)
    base, image = _open_base(layout, order.base_tag, contents)
    rootfs = _look_through(base, image)
    interpreter = find_interpreter(rootfs, image.name, contents.interpreter, image.config)
    check_libraries(rootfs, image.name, contents.depends)
    packages = tuple(installed_packages(rootfs))
    _add_command(tree, order.package, interpreter)
    _add_words(tree, order, contents, packages)
    architecture = oci_architecture(contents.architecture) or image.architecture
    settings = _settings(order, contents, image, reference, architecture, interpreter)
    name = f"{order.package}_{without_epoch(order.version)}_{architecture}.oci.tar"
    path = output_path(order.output, name, inputs)
    digest = write_image(
        path,
        settings,
        list(_layers(tree, rootfs, order.package, contents.epoch)),
        image.layers,
        lambda blob: _blocks(base, blob),
    )
    return Image(
        path,
        reference,
        digest,
        architecture,
        os.stat(path).st_size,
        contents,
        image.name,
        packages,
        settings.ports,
        (*unreachable(info.plan), *_low(settings.ports)),
    )


def _package(order: ImageOrder, info: TapInfo) -> str:
    return check_package_name(order.package) if order.package else package_name(info.name)


def _open_base(layout: Layout | None, tag: str, contents: Contents) -> tuple[_Base, BaseImage]:
    if layout is None:
        fetched = debian_base(contents.interpreter, contents.depends, contents.architecture)
        return fetched, fetched.image
    return layout, choose_image(layout, tag, oci_architecture(contents.architecture))


def _look_through(base: _Base, image: BaseImage) -> Rootfs:
    """Return what the layers of a base make together."""
    rootfs = Rootfs(image.name)
    for layer in image.layers:
        with base.open_blob(layer) as file:
            diff_id = rootfs.add_layer(file, layer.digest)
        if diff_id != layer.diff_id:
            raise ConfigurationError(
                f"{image.name}: layer {layer.digest[:19]} is not the one that its image names",
                cure="copy the image again",
            )
    return rootfs


def _blocks(base: _Base, blob: Blob) -> Iterator[bytes]:
    with base.open_blob(blob) as file:
        while block := file.read(_BLOCK):
            yield block


def _add_command(tree: Tree, package: str, interpreter: str) -> None:
    """Add the command for `docker exec`; an image need not have a shell."""
    words = [*command_words(package, interpreter)]
    text = f"""\
#!{interpreter} -ISB
import os
import sys

os.execv({interpreter!r}, {words!r} + sys.argv[1:])
"""
    tree.add_file(f"usr/sbin/{package}", text, 0o755)


def _add_words(
    tree: Tree, order: ImageOrder, contents: Contents, packages: tuple[SystemPackage, ...]
) -> None:
    """Add what is in the image, for programs, and under which licences, for people."""
    bill = bill_of_materials(order.package, order.version, contents.epoch, contents.parts, packages)
    tree.add_file(f"usr/lib/{order.package}/sbom.json", bill)
    folder = f"usr/share/doc/{order.package}"
    for part in contents.parts:
        for number, (name, text) in enumerate(part.texts):
            place = f"{folder}/licenses/{part.name}/{name}"
            tree.add_file(f"{place}.{number}" if place in tree else place, text)


def _layers(tree: Tree, rootfs: Rootfs, package: str, epoch: int) -> Iterator[NewLayer]:
    home = f"usr/lib/{package}"
    parts, own, system = Tree(), Tree(), Tree()
    for path, node in tree:
        if node.is_file or node.target:
            is_others = path.startswith((f"{home}/vendor/", f"usr/share/doc/{package}/licenses/"))
            (parts if is_others else own).add_node(path, node)
    state, runtime = f"var/lib/{package}", f"run/{package}"
    add_accounts(system, rootfs, account_name(package), USER, f"/{state}")
    system.add_folder(state, 0o700)
    system.add_folder(runtime, 0o750)
    if rootfs.get("tmp") is None:
        system.add_folder("tmp", 0o1777)
    for made, comment, time in (
        (system, "the account and the folders of the server", _TIMELESS),
        (parts, "distributions that the server uses", _TIMELESS),
        (own, "the server", epoch),
    ):
        moved, there = laid_over(made, rootfs)
        owned = {f"{rootfs.resolve(path)}": USER for path in (state, runtime) if path in made}
        yield NewLayer(moved, comment, time, owned, there - set(owned))


def _settings(
    order: ImageOrder,
    contents: Contents,
    image: BaseImage,
    reference: str,
    architecture: str,
    interpreter: str,
) -> ImageSettings:
    package, home = order.package, f"/usr/lib/{order.package}"
    command = command_words(package, interpreter)
    # Where engines put what they are asked to keep secret.
    secrets = {"CREDENTIALS_DIRECTORY": "/run/secrets"} if contents.credentials else {}
    labels = {
        f"{_NAMES}title": contents.info.name,
        f"{_NAMES}version": order.version,
        f"{_NAMES}created": oci_time(contents.epoch),
        f"{_NAMES}description": order.title or f"{contents.info.name}, a server that remembers",
        f"{_NAMES}licenses": order.license,
        f"{_NAMES}source": order.source,
        f"{_NAMES}authors": order.authors,
        f"{_NAMES}base.digest": image.digest,
        "taphouse.sbom": f"{home}/sbom.json",
        "taphouse.lineage": contents.info.lineage,
    }
    return ImageSettings(
        reference=reference,
        architecture=architecture,
        epoch=contents.epoch,
        start=command,
        serve=("run",),
        health=(*command, "status", "--ready"),
        user=USER,
        folder=f"/var/lib/{package}",
        environment={
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            "STATE_DIRECTORY": f"/var/lib/{package}",
            "RUNTIME_DIRECTORY": f"/run/{package}",
            **secrets,
        },
        ports=exposed_ports(contents.info.plan),
        labels={name: text for name, text in labels.items() if text},
        base=image.config,
    )


def _low(ports: tuple[str, ...]) -> Iterator[str]:
    for port in ports:
        number = int(port.partition("/")[0])
        if number < _FIRST_FREE_PORT:
            yield (
                f"port {number}: engines that keep ports below 1024 for root need"
                f" --sysctl net.ipv4.ip_unprivileged_port_start={number}"
            )
