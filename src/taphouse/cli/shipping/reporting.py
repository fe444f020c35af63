"""Reporting: what was made, and what to type next.

It asks systemd and lintian what they think, where they are.  This module must never
change what was made.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator

from taphouse.cli.shipping.debpackage import MadeDeb
from taphouse.cli.shipping.packagetree import PackageTree
from taphouse.cli.shipping.sizes import megabytes
from taphouse.errors import ConfigurationError

__all__ = ["lint", "report"]

_PATIENCE_S = 600.0
_UNITS = "usr/lib/systemd/system"


def report(made: MadeDeb, *, written: bool) -> Iterator[str]:
    """Yield lines about a package, and the commands that come next.

    Args:
        made: the package.
        written: whether there is a file.
    """
    package = made.package
    about, contents, name = package.about, package.contents, package.about.name
    files = [path for path, node in package.tree if node.is_file]
    installed = sum(node.size for _, node in package.tree)
    size = f"{megabytes(os.path.getsize(made.path))}, " if written else "not written, "
    yield (
        f"{made.path}: {name} {about.version} for {contents.architecture}, {size}"
        f"{megabytes(installed)} installed, {len(files)} files"
    )
    yield _row("needs", ", ".join(package.depends))
    yield _row("brings", ", ".join(f"{part.name} {part.version}" for part in about.parts))
    own = sorted({path.split("/")[4] for path in files if path.startswith(f"usr/lib/{name}/app/")})
    if own:
        yield _row("app", ", ".join(own))
    yield _row("files", f"/usr/lib/{name}, /usr/sbin/{name}, /etc/{name}/{name}.conf")
    yield _row("units", ", ".join(package.units))
    labels = [str(entry.get("label")) for entry in contents.info.plan.get("listeners") or ()]
    yield _row("serves", ", ".join(labels) or "nothing: it listens nowhere")
    account = f"user {package.upkeep.account}" if package.upkeep.account else "an account that systemd makes"
    yield _row("runs as", f"{account}, profile {package.profile}, {_exposure_of(package)}")
    yield "next:"
    yield from (f"  {line}" for line in _next(made))


def _exposure_of(package: PackageTree) -> str:
    """Return what systemd thinks of how much the service may do, 0 to 10, or why that is not known."""
    service = f"{package.about.name}.service"
    with tempfile.TemporaryDirectory(prefix="taphouse-") as folder:
        path = os.path.join(folder, service)
        with open(path, "w", encoding="utf-8") as file:
            file.write(package.units[service])
        said = _ask("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    match = re.search(r"exposure level for \S+: ([0-9.]+) (\S+)", said or "")
    if match is None:
        return "exposure not measured: there is no systemd-analyze here"
    return f"exposure {match[1]} of 10 ({match[2]})"


def lint(made: MadeDeb) -> Iterator[str]:
    """Yield what lintian and systemd have to say of a package that was written.

    Raises:
        ConfigurationError: they have found faults.
    """
    faults = 0
    with tempfile.TemporaryDirectory(prefix="taphouse-") as folder:
        paths = []
        for unit, text in made.package.units.items():
            paths.append(os.path.join(folder, unit))
            with open(paths[-1], "w", encoding="utf-8") as file:
                # What it starts is not installed here.
                file.write(re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text))
        for name, command in (
            ("lintian", ["lintian", "--pedantic", "--allow-root", made.path]),
            ("systemd-analyze verify", ["systemd-analyze", "verify", "--man=no", *paths]),
        ):
            said = _ask(*command)
            if said is None:
                yield f"{name}: is not installed here"
                continue
            lines = said.splitlines()
            faults += len(lines)
            yield f"{name}: {'nothing to complain of' if not lines else f'{len(lines)} lines'}"
            yield from (f"  {line}" for line in lines)
    if faults:
        raise ConfigurationError(f"{made.path}: lint has {faults} complaints", cure="see the lines above")


def _next(made: MadeDeb) -> Iterator[str]:
    name = made.package.about.name
    path = made.path if "/" in made.path else f"./{made.path}"
    commands = [
        # Before the rest: without it the server does not start.
        *(
            (f"sudo install -D -m 600 FILE /etc/credstore/{name}.{secret}", f"hand over the secret {secret}")
            for secret in made.package.contents.credentials
        ),
        (f"sudo apt-get install {path}", "install it; it serves at once"),
        (f"systemctl status {name}", "whether it runs, and its last messages"),
        (f"journalctl -u {name}", "all of its messages"),
        (f"sudo {name} status", "connections, commits, memory"),
        (f"sudo apt-get remove {name}", "its state stays; purge removes that too"),
    ]
    width = max(len(command) for command, _ in commands)
    for command, words in commands:
        yield f"{command:<{width}}  {words}"


def _ask(*command: str) -> str | None:
    """Return what a command prints, ``None`` if it is not there."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE_S,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _row(title: str, text: str) -> str:
    return f"  {title:<8} {text}"
