"""Makers to be found, installed and dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAKER = '''\
"""Somebody's module."""

from taphouse import usage


class Options(usage.Options):
    """Serve a thing."""

    port: int = usage.option(1717, "-p", help="TCP port")


def updateApplication(app, config):
    app.made = config.port
'''


def marked(name: str, description: str = "serve a thing", source: str = MAKER) -> str:
    """Return the source of a maker with its marker line."""
    return f"# taphouse-maker: {name} - {description}\n{source}"


@dataclass
class Shelf:
    """Where makers lie in a test.

    Args:
        path: a folder on ``sys.path``.
        own: the user's own folder.
    """

    path: Path
    own: Path

    def drop(self, file: str, source: str, *, own: bool = False) -> Path:
        """Write a module into the folder on the path, or into the user's own."""
        target = (self.own if own else self.path) / file
        target.parent.mkdir(exist_ok=True)
        target.write_text(source)
        return target

    def install(self, distribution: str, points: str, **modules: str) -> Path:
        """Install a distribution with its modules as pip would; returns its ``.dist-info`` folder."""
        info = self.path / f"{distribution}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[taphouse.makers]\n{points}\n")
        for name, source in modules.items():
            (self.path / f"{name}.py").write_text(source)
        return info
