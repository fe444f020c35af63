"""Steps of a start about what is served: plan and locks, ports, the store, the application.

They must never know whether the process is a daemon.
"""

from __future__ import annotations

import datetime
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taphouse.cli.starting.early import import_early
from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.cli.starting.start import Start
from taphouse.daemon import check_rundir, check_trusted, resolve_identity
from taphouse.durable import raw_state
from taphouse.errors import ConfigurationError, UsageError
from taphouse.value import replace

if TYPE_CHECKING:
    from taphouse.cli.starting.loading import ModuleLoader
    from taphouse.cli.starting.thawing import Loaded
    from taphouse.persist import TapInfo

__all__ = ["bind_ports", "load_application", "open_store", "prepare_chroot", "read_plan_and_lock"]

_log = logging.getLogger("taphouse")
_HAS_RUN = "_v_has_run"
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 1_000_000
"""On the slowest disk and processor that are taken for alive."""


def read_plan_and_lock(start: Start) -> None:
    """Read the plan as data, decide which state it is about, and lock that.

    Code has no plan before it was imported; that waits for the log, unless the
    log is to be named after the application.
    """
    if not start.is_code:
        _take_tap(start)
    elif start.application is not None or not start.paths_are_known:
        _take_code(start)


def bind_ports(start: Start) -> None:
    """Bind every listener of the plan; code is imported first, its plan is not known before."""
    if start.is_code and start.choice is None:
        _take_code(start)
    from taphouse.runtime import bind_plan

    start.sockets = bind_plan(start.plan["listeners"], given=start.given)
    start.given = []
    start.undo.callback(start.sockets.close)


def prepare_chroot(start: Start) -> None:
    """With a chroot, import what the plan names, and read a seed, while they can still be found."""
    if not start.settings.chroot:
        return
    assert start.choice is not None
    if not start.is_code:
        _import_modules(start)
    if start.choice.seed:
        _open(start)


def open_store(start: Start) -> None:
    """Open the state as the user who will write it, or prepare one that appears at the first commit."""
    if start.store is None:
        _open(start)


def _open(start: Start) -> None:
    from taphouse.cli.starting.storing import open_chosen

    assert start.choice is not None
    choice = start.choice
    start.manager.extend(_patience_s(choice.state, choice.seed))
    start.store = open_chosen(replace(choice, state=start.inside(choice.state) if choice.state else ""))
    start.undo.callback(start.store.abandon)


def _patience_s(*paths: str) -> float:
    """Return how long these files, and what is beside them, may take to be read, repaired and thawed."""
    total = 0
    for path in filter(None, paths):
        for suffix in ("", "-wal"):
            with suppress(OSError):
                total += os.path.getsize(path + suffix)
    return _PATIENCE_S + total / _SLOWEST_BYTES_PER_S


def load_application(start: Start) -> None:
    """Import what the plan names and thaw; or join what the code has built with what was stored."""
    from taphouse.cli.starting import thawing

    settings = start.settings
    assert start.choice is not None
    assert start.store is not None
    if start.application is None:
        _log.info("Loading %s...", settings.source)
        if start.merges:
            loaded = _merge_seed(start)
        else:
            modules = _import_modules(start)
            loaded = thawing.thaw_tap(start.store, start.choice, _loader(start), modules, start.plan)
    else:
        loaded = thawing.join_code(
            start.application,
            start.store,
            start.choice,
            start.plan,
            loader=_loader(start),
            drop=settings.drop,
        )
    start.loaded = loaded
    import_early(settings.early_modules)
    start.manager.extend(_patience_s())  # the first commit is still to come
    raw_state(loaded.application)[_HAS_RUN] = True
    start.application = loaded.application
    for line in loaded.notes:
        _log.info("%s", line)
    for line in start.notes:
        _log.warning("%s", line)
    if not settings.save:
        _log.warning("State is not saved: what changes is forgotten at the end.")
    _log.info("Loaded.")


def _take_tap(start: Start) -> None:
    from taphouse.cli.starting.choosing import Choice, choose_for_tap, lock_target
    from taphouse.persist import read_info

    settings = start.settings
    if settings.save:
        path, seed = lock_target(settings)
        _lock(start, path)
        start.choice = choose_for_tap(settings, seed, path)
    else:
        assert settings.tap is not None
        start.choice = Choice("", read_info(settings.tap), seed=settings.tap)
    info = start.choice.info
    assert info is not None
    check_plan_shape(info.plan, str(info.path))
    start.plan = dict(info.plan)
    if settings.save:
        _look_at_seed(start, info)
    _check_account(start)
    if os.geteuid() == 0:
        check_trusted(str(info.path), "tap", trusted=start.trusted)
        if start.merges:
            check_trusted(str(settings.tap), "tap", trusted=start.trusted)


def _look_at_seed(start: Start, info: TapInfo) -> None:
    """Note of which seed the state comes, or find out that it is to be merged with another one."""
    assert start.choice is not None
    choice, tap = start.choice, start.settings.tap
    if not choice.exists:
        from taphouse.cli.starting.reseeding import record_seed

        # Also makes the plan another one than the seed's, so that there is a first commit to make.
        start.plan["begun"] = {"from": os.path.basename(choice.seed), "at": _now()}
        start.plan["seed"] = record_seed(choice.seed, info.plan)
    elif tap and tap != choice.state:
        from taphouse.cli.starting.reseeding import find_new_seed, foresee_plan

        new = find_new_seed(tap, info)
        if new is not None:
            start.choice = replace(choice, new_seed=new)
            if new.is_known:
                start.plan["seed"] = new.record
            else:
                start.plan = foresee_plan(info.plan, new.info.plan)


def _merge_seed(start: Start) -> Loaded:
    """Merge a seed into the state, and keep of the ports that were bound those that this wants."""
    assert start.choice is not None
    state = start.inside(start.choice.state)
    start.manager.extend(_patience_s(state, state, state))
    loaded = start.merge(start, _loader(start), state)
    if start.sockets is not None:
        start.sockets.close_others([listener.label for listener in loaded.application.listeners])
    return loaded


def _take_code(start: Start) -> None:
    """Build the application from code unless a script has, then choose and lock its state."""
    from taphouse.app import check_application, verbs
    from taphouse.cli.starting.choosing import Choice, choose_for_code, state_path_of
    from taphouse.cli.starting.saving import plan_of_code
    from taphouse.cli.starting.scripts import load_application as load_code

    settings = start.settings
    if start.application is None:
        assert settings.python is not None
        if start.logs is not None:
            _log.info("Loading %s...", settings.source)
        folders = (settings.launch_directory, settings.run_directory)
        with verbs.quiet():
            start.application, start.script = load_code(settings.python, folders=folders)
    if raw_state(start.application).get(_HAS_RUN):
        raise ConfigurationError(
            f"application {start.application.name} has run in this process already",
            cure="build it anew for another run, in a function that returns it",
        )
    check_application(start.application)
    start.plan = plan_of_code(start.application, start.script)
    _check_account(start)
    if not settings.save:
        start.choice = Choice("")
        return
    path = state_path_of(settings, start.application.name)
    _lock(start, path)
    start.choice = choose_for_code(settings, start.application.name, path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _lock(start: Start, path: str) -> None:
    from taphouse.cli.starting.owning import take_lock
    from taphouse.persist import check_place

    start.notes.extend(filter(None, [check_place(Path(os.path.realpath(path)).parent)]))
    start.undo.callback(take_lock(path, on_wait=start.step).release)


def _check_account(start: Start) -> None:
    """Find out whom to run as, from the options or else the plan, and trust nobody else's files."""
    settings = start.settings
    if start.identity is None:
        user = start.plan.get("uid")
        start.identity = resolve_identity(
            user,
            settings.gid if settings.gid is not None else start.plan.get("gid"),
            source="--gid" if user is None else f"application {start.name}",
            error=UsageError if user is None else ConfigurationError,
        )
    if os.geteuid() == 0 and settings.owns_process:
        check_rundir(settings.run_directory, trusted=start.trusted)
        from taphouse.cli.starting.loading import plugin_folders

        folders = [(start.plan.get("script") or {}).get("folder"), *plugin_folders(start.plan)]
        for folder in folders:
            if folder and os.path.isdir(folder):
                check_trusted(folder, "script folder", trusted=start.trusted)


def _loader(start: Start) -> ModuleLoader:
    """Return the judge of modules of this start."""
    from taphouse.cli.starting.loading import ModuleLoader

    if start.loader is None:
        assert start.choice is not None
        info = start.choice.info
        start.loader = ModuleLoader(
            str(info.path) if info is not None else start.settings.source,
            run_directory=start.settings.run_directory,
            script_folder=(start.plan.get("script") or {}).get("folder", ""),
            allowed=start.settings.allow_modules,
            trusts_tap=not start.settings.installed_only,
        )
    return start.loader


def _import_modules(start: Start) -> dict[str, Any]:
    """Import the modules of the plan, once; the scripts among them must not run what they build."""
    from taphouse.cli.starting.thawing import import_plan

    if start.modules is None:
        assert start.choice is not None
        new = start.choice.new_seed
        info = new.info if new is not None and start.merges else start.choice.info
        assert info is not None
        start.modules = import_plan(_loader(start), info)
    return start.modules
