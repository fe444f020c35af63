"""What the operator asked for, as one value: parsed, checked against itself, nothing opened.

It must never look at the file system beyond making paths absolute: whether
things exist is the start sequence's business.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from taphouse.errors import UsageError
from taphouse.value import Value

__all__ = [
    "DEFAULT_TAP",
    "LIMIT_OPTIONS",
    "Settings",
    "is_managed",
    "is_python_target",
    "settings_from",
    "state_directory",
    "target_option",
]

DEFAULT_TAP = "twistd.tap"
"""What ``twistd`` runs when nothing else was said, as in 2002."""

LIMIT_OPTIONS = (
    "max_connections",
    "max_connections_per_client",
    "idle_timeout_s",
    "drain_s",
    "commit_deadline_s",
    "free_space_warn_bytes",
    "free_space_stop_bytes",
    "free_space_fail_bytes",
)
"""Fields of `Settings` that become the runtime's limits, under the same names."""


class Settings(Value, kw_only=True):
    """How one server is to be started.

    Paths are absolute except `pidfile` and `logfile`, which lie in the run
    directory and may still hold ``NAME``'s place: ``None`` means "the default
    of the command", known once the application's name is.
    """

    command: str = "twistd"
    tap: str | None = None
    """Tap to start from, seed or state."""
    python: str | None = None
    """``/dir/FILE.py``, ``/dir/FILE.py:attr`` or ``module:attr`` to build the application from."""
    state: str | None = None
    """State tap to go on from, or to begin."""
    resume: bool = False
    """Go on from the state tap if there is one, as `tap start` does, where `twistd -f SEED` refuses."""
    fresh: bool = False
    drop: tuple[str, ...] = ()
    save: bool = True
    durability: str | None = None
    """For this run; ``None`` is the application's own."""
    daemon: bool = False
    owns_process: bool = True
    """Whether the process is ours: signals, log, standard output; not so inside of somebody else's loop."""
    launch_directory: str = ""
    run_directory: str = ""
    """Absolute, as it is called before a chroot."""
    pidfile: str | None = None
    """Its path, ``""`` for none, ``None`` for the command's default."""
    logfile: str | None = None
    """Its path, ``-`` for standard output, ``None`` for the command's default."""
    log_format: str = "text"
    log_level: str = "info"
    log_size_bytes: int | None = None
    syslog: bool = False
    prefix: str | None = None
    reactor: str = "auto"
    quiet: bool = False
    debug: bool = False
    profile: str | None = None
    savestats: bool = False
    umask: int | None = None
    uid: str | None = None
    gid: str | None = None
    chroot: str | None = None
    allow_modules: tuple[str, ...] = ()
    installed_only: bool = False
    """Whether no code is looked for where the tap says that it was, on the machine that made it."""
    early_modules: tuple[str, ...] = ()
    """What else is imported before the server is ready, because its files may be replaced while it runs."""
    max_connections: int | None = None
    max_connections_per_client: int | None = None
    idle_timeout_s: float | None = None
    drain_s: float | None = None
    commit_deadline_s: float | None = None
    free_space_warn_bytes: int | None = None
    free_space_stop_bytes: int | None = None
    free_space_fail_bytes: int | None = None

    def limits(self) -> dict[str, int | float]:
        """Return the limits that were given, by the runtime's names for them."""
        return {name: value for name in LIMIT_OPTIONS if (value := getattr(self, name)) is not None}

    @property
    def run_directory_inside(self) -> str:
        """The run directory as it is called inside of the chroot."""
        if not self.chroot:
            return self.run_directory
        return os.path.join("/", os.path.relpath(self.run_directory, os.path.realpath(self.chroot)))

    @property
    def source(self) -> str:
        """What is being started, as the operator wrote it, for messages and the log."""
        target = self.python or self.tap or self.state or "the application"
        return target.removeprefix(os.path.join(self.launch_directory, ""))


def is_managed(environment: Mapping[str, str]) -> bool:
    """Say whether a service manager has started us, and waits to hear that we are ready."""
    return bool(environment.get("NOTIFY_SOCKET"))


def state_directory(environment: Mapping[str, str]) -> str:
    """Return the folder that a service manager keeps for our state, "" for none; see systemd.exec(5)."""
    first = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return first if first.startswith("/") else ""


def is_python_target(target: str) -> bool:
    """Say whether ``target`` names Python (``FILE.py``, ``FILE.py:attr``, ``module:attr``), not a tap."""
    if target.endswith(".py") or ".py:" in target:
        return True
    module, colon, attribute = target.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def target_option(target: str) -> dict[str, str]:
    """Return the field of `Settings` that a command's ``target`` argument fills."""
    return {"python" if is_python_target(target) else "tap": target}


def settings_from(options: argparse.Namespace, **more: object) -> Settings:
    """Return the settings that parsed ``options`` mean, ``more`` of them overriding.

    Raises:
        UsageError: if two options contradict each other.
    """
    values = {
        name: value for name in Settings.field_names() if (value := getattr(options, name, None)) is not None
    }
    values.update(more)
    for name in ("drop", "allow_modules"):
        values[name] = tuple(values.get(name) or ())
    launch_directory = os.getcwd()
    for name in ("tap", "state", "profile", "chroot"):
        if name in values:
            values[name] = os.path.join(launch_directory, str(values[name]))
    python = values.get("python")
    if isinstance(python, str) and (python.endswith(".py") or ".py:" in python):
        values["python"] = os.path.join(launch_directory, python)
    values["launch_directory"] = launch_directory
    if not (values.get("run_directory") or values.get("chroot")) and (folder := state_directory(os.environ)):
        values["run_directory"] = folder
        # Whoever starts us there does so after each boot and each crash, with the same command.
        values.setdefault("resume", True)
    run_directory = str(values.get("run_directory") or "")
    if values.get("chroot"):
        # The run directory is meant as seen inside, "/" if none was given.
        values["chroot"] = os.path.realpath(str(values["chroot"]))
        run_directory = os.path.join(values["chroot"], run_directory.lstrip("/"))
    values["run_directory"] = os.path.normpath(os.path.join(launch_directory, run_directory))
    settings = Settings(**values)
    _refuse_contradictions(settings)
    return settings


def _refuse_contradictions(settings: Settings) -> None:
    if settings.tap and settings.python:
        raise UsageError("-f and -y both say what to run", cure="give one of them")
    if settings.drop and not (settings.python or (settings.tap and (settings.state or settings.resume))):
        raise UsageError(
            "--drop only means something with -y, or with a seed and --state",
            cure="a tap keeps what it holds",
        )
    if not settings.save and (settings.state or settings.fresh):
        raise UsageError("-o keeps no state, --state and --fresh are about state", cure="give one of them")
    if not settings.save and settings.durability:
        raise UsageError("-o keeps no state, --durability says when it is saved", cure="give one of them")
    if settings.fresh and not (settings.tap or settings.python):
        raise UsageError("--fresh needs something to begin from", cure="give -f SEED or -y FILE.py")
    if settings.syslog and settings.logfile:
        raise UsageError("--syslog and --logfile both say where the log goes", cure="give one of them")
    if settings.logfile == "-" and settings.daemon:
        raise UsageError(
            "-l -: a daemon has no standard output to log to", cure="add --nodaemon, or name a file"
        )
    if settings.prefix is not None and not settings.syslog:
        raise UsageError("--prefix only means something with --syslog", cure="add --syslog")
    if settings.savestats and not settings.profile:
        raise UsageError("--savestats needs a file", cure="add --profile FILE")
