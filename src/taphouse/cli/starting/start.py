"""A start: what its steps have made so far, and how to take it back.

The steps themselves are in `steps_process`, `steps_state` and `steps_live`,
their order in `sequence`.  This module must never take a step.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from taphouse.cli.settings import Settings
from taphouse.daemon import Manager, Readiness
from taphouse.errors import ConfigurationError, InternalError

if TYPE_CHECKING:
    import asyncio
    import socket

    from taphouse.app import Application
    from taphouse.cli.starting.choosing import Choice
    from taphouse.cli.starting.loading import ModuleLoader
    from taphouse.cli.starting.scripts import Script
    from taphouse.cli.starting.thawing import Loaded
    from taphouse.control import ControlServer, Registration
    from taphouse.daemon import Identity, Logs, PidFile
    from taphouse.persist import Store
    from taphouse.runtime import Runtime, Sockets

__all__ = ["MergeSeed", "Start"]


class MergeSeed(Protocol):
    """Merges the new seed of a start into the state, in memory: who does it lives on a higher floor."""

    def __call__(self, start: Start, loader: ModuleLoader, state: str, /) -> Loaded:
        """Return what the start runs.

        Args:
            start: has read the plan and opened the state.
            loader: finds its code.
            state: path of the state, as it is called now.
        """


def no_merge(start: Start, loader: ModuleLoader, state: str, /) -> Loaded:
    """Refuse: what code has built has no seed."""
    raise InternalError(f"{state} has a new seed, and nobody to merge it")


class Start:
    """One start of one server.

    Args:
        settings: what was asked for.
        application: what to run, if a script has built it already.
        script: where the code of ``application`` lies.
        merge: merges a new seed into the state that a start goes on from.
    """

    def __init__(
        self,
        settings: Settings,
        application: Application | None = None,
        script: Script | None = None,
        *,
        merge: MergeSeed = no_merge,
    ) -> None:
        self.settings = settings
        self.merge = merge
        self.application = application
        self.script = script
        self.undo = ExitStack()
        """What the steps have made, to be taken back in reverse order: after a failure, and at the end."""
        self.collector = ExitStack()
        """Puts the garbage collector back to its usual pace."""
        self.signals = ExitStack()
        """Puts back what signals meant before; the last to be taken back of what a user can see."""
        self.readiness = Readiness()
        self.manager = Manager()
        """The service manager that has started us, if one has."""
        self.given: list[tuple[str, socket.socket]] = []
        """Sockets that it has opened for us, with their names."""
        self.logs: Logs | None = None
        self.pidfile: PidFile | None = None
        self.identity: Identity | None = None
        """Whom to run as, ``None`` for no change."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.sockets: Sockets | None = None
        self.choice: Choice | None = None
        self.plan: dict[str, Any] = {}
        self.notes: list[str] = []
        """Warnings from before there was a log."""
        self.loader: ModuleLoader | None = None
        self.modules: dict[str, Any] | None = None
        self.store: Store | None = None
        self.loaded: Loaded | None = None
        self.runtime: Runtime | None = None
        self.registration: Registration | None = None
        self.control: ControlServer | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def step(self, text: str) -> None:
        """Say what is being done, to whoever waits."""
        self.readiness.step(text)
        self.manager.status(text)

    @property
    def name(self) -> str:
        """The application's name, ``""`` while it is not known yet."""
        return str(self.plan.get("name", ""))

    @property
    def merges(self) -> bool:
        """Whether a new seed is to be merged into the state."""
        new = self.choice.new_seed if self.choice is not None else None
        return new is not None and not new.is_known

    @property
    def is_code(self) -> bool:
        """Whether the application is built by code, not thawed from a tap."""
        return self.settings.python is not None or self.application is not None

    @property
    def trusted(self) -> frozenset[int]:
        """Users besides root whose files may decide what is run."""
        return frozenset() if self.identity is None else frozenset({self.identity.uid})

    @property
    def paths_are_known(self) -> bool:
        """Whether pidfile and log can be named already, or need the application's name."""
        return bool(self.name) or "" not in (self._default("log"), self._default("pid"))

    @property
    def log_path(self) -> str:
        """Where the log goes: a file, or ``-`` for standard output."""
        settings = self.settings
        if settings.logfile is not None:
            return settings.logfile
        return self._default("log") if settings.daemon else "-"

    @property
    def pidfile_path(self) -> str:
        """Where the process id goes, ``""`` for nowhere."""
        settings = self.settings
        return self._default("pid") if settings.pidfile is None else settings.pidfile

    def _default(self, suffix: str) -> str:
        if self.settings.command == "twistd":
            return f"twistd.{suffix}"
        return f"{self.name}.{suffix}" if self.name else ""

    def inside(self, path: str) -> str:
        """Return ``path`` as it is called inside of the chroot.

        Raises:
            ConfigurationError: if it lies outside.
        """
        if not self.settings.chroot:
            return path
        root = self.settings.chroot
        inner = os.path.relpath(os.path.realpath(path), root)
        if inner.split(os.sep)[0] == os.pardir:
            raise ConfigurationError(
                f"--chroot {root}: {path} lies outside",
                cure="move it into the directory that becomes the root",
            )
        return os.path.normpath(os.path.join("/", inner))
