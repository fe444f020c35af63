"""Which state a start goes on from, which it begins, which it refuses to step over.

Reads taps as data; the rules of seeds and states are here and nowhere else.
It must never write, and never import application code.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taphouse.cli.settings import Settings
from taphouse.errors import ConfigurationError, StateExistsError, TapError
from taphouse.names import check_application_name
from taphouse.persist import TapInfo, read_info
from taphouse.value import Value

if TYPE_CHECKING:
    from taphouse.cli.starting.reseeding import NewSeed

__all__ = ["Choice", "choose_for_code", "choose_for_tap", "state_path_of"]


class Choice(Value):
    """The outcome: where state is kept, and what it begins from."""

    state: str
    """Path of the state tap, ``""`` for none (``-o``)."""
    info: TapInfo | None = None
    """What the start reads its plan from: the state to go on from, else the seed; ``None`` for code."""
    seed: str = ""
    """Path of the seed a new state begins from, or ``""``."""
    exists: bool = False
    """Whether the state is there and is to be gone on from."""
    sets_aside: bool = False
    """Whether the state that is there is to be set aside at the first commit."""
    new_seed: NewSeed | None = None
    """A seed other than the one that the state came of, to be merged into it."""


def state_path_of(settings: Settings, name: str) -> str:
    """Return where the application ``name`` keeps its state under ``settings``."""
    check_application_name(name)
    return settings.state or os.path.join(settings.run_directory, f"{name}-shutdown.tap")


def lock_target(settings: Settings) -> tuple[str, TapInfo | None]:
    """Return the path of the tap that a start owns and must lock, and what was read to know.

    Raises:
        TapError: the tap that was named is missing.
    """
    if settings.state and (settings.tap is None or os.path.lexists(settings.state)):
        return settings.state, None
    assert settings.tap is not None
    try:
        info = read_info(settings.tap)
    except TapError:
        if not os.path.exists(settings.tap):
            raise
        # A server may be writing it at this moment, perhaps under another name, with its WAL there:
        # whether it is damaged can only be said by who holds its lock, and reads it again.
        return settings.tap, None
    if info.role == "state":
        return settings.tap, None
    return state_path_of(settings, info.name), info


def choose_for_tap(settings: Settings, seed: TapInfo | None, path: str) -> Choice:
    """Choose for a start from a tap; ``path`` is locked.

    Args:
        settings: what was asked for.
        seed: the seed that was named, if it was read.
        path: what `lock_target` returned.

    Raises:
        StateExistsError: a seed was named where newer state of it lies.
        ConfigurationError: the tap to go on from is a seed, or of another application.
        TapError: the state is damaged or foreign.
    """
    there = os.path.lexists(path)
    if settings.tap is None and not there:
        raise ConfigurationError(f"{path} does not exist", cure="give -f SEED to begin it from")
    if seed is None and settings.tap and settings.state and not there:
        seed = read_info(settings.tap)
    if settings.fresh:
        begin = seed or (read_info(settings.tap) if settings.tap else None)
        if begin is None or begin.role != "seed":
            raise ConfigurationError(
                f"--fresh begins from a seed, and {settings.tap} is a state tap",
                cure="name the seed with -f, or leave --fresh out to go on",
            )
        return Choice(path, begin, seed=settings.tap or "", sets_aside=there)
    if not there:
        assert seed is not None
        if seed.role != "seed":
            # --state FILE with -f of another state: its content begins the new one.
            raise ConfigurationError(
                f"{settings.tap} is a state tap of its own", cure="give it as --state, or name a seed with -f"
            )
        return Choice(path, seed, seed=settings.tap or "")
    state = read_info(path)
    if state.role != "state":
        raise ConfigurationError(
            f"{path} is a seed, which is only ever read", cure=f"start it with -f {os.path.basename(path)}"
        )
    if seed is None or settings.state or settings.resume:
        _same_application(seed, state, settings.tap or "")
        return Choice(path, state, exists=True)
    if state.epoch > state.base_epoch:
        raise state_exists(path, state)
    return Choice(path, seed, seed=settings.tap or "")


def choose_for_code(settings: Settings, name: str, path: str) -> Choice:
    """Choose for a start from Python code; ``path`` is locked.

    Raises:
        ConfigurationError: the state is a seed, or of another application.
        TapError: it is damaged or foreign.
    """
    if not os.path.lexists(path):
        return Choice(path)
    if settings.fresh:
        return Choice(path, sets_aside=True)
    state = read_info(path)
    if state.role != "state":
        raise ConfigurationError(
            f"{path} is a seed, which is only ever read", cure="choose another --state, or move it away"
        )
    if state.name != name:
        raise ConfigurationError(
            f"{path} is the state of application {state.name}, not of {name}",
            cure="choose another --state or --rundir, or set it aside with --fresh",
        )
    return Choice(path, state, exists=True)


def state_exists(path: str, state: TapInfo) -> StateExistsError:
    """Return the refusal to start a seed over newer state, with both cures."""
    kept = state.epoch - state.base_epoch
    return StateExistsError(
        f"holds newer state of {state.name} ({kept} commit{'s' if kept != 1 else ''})",
        path=path,
        cure=f"go on from it with -f {os.path.basename(path)}, or add --fresh to set it aside and begin anew",
    )


def _same_application(seed: TapInfo | None, state: TapInfo, tap: str) -> None:
    if seed is not None and seed.name != state.name:
        raise TapError(
            f"is the state of application {state.name}, but {tap} holds {seed.name}",
            path=str(state.path),
            cure="name the state that belongs to it",
        )
