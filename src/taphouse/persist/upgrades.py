"""Upgrades: state of an older version of a class is brought up step by step.

``upgrade_from_1(state)`` of the class makes state of version 2 of state of
version 1.  This is the application's code, called once per object, after
everything was read and before anything runs.  This module must never know rows.
"""

from __future__ import annotations

import inspect
import types
from typing import Any

from taphouse.durable import ClassRecord, check_value, class_record
from taphouse.errors import ClassIdentityError, TaphouseError, UpgradeError

__all__ = ["check_version", "upgrade_state"]


def check_version(cls: Any, record: ClassRecord, path: str) -> bool:
    """Compare the version in a tap with the one installed.

    Returns:
        Whether its objects have to be upgraded.

    Raises:
        ClassIdentityError: if the tap's is newer.
        UpgradeError: if a step is missing.
    """
    if not isinstance(cls, (type, types.FunctionType)):
        raise ClassIdentityError(f"{record.name} is neither class nor function here", path=path)
    installed = class_record(cls)
    if record.kind != installed.kind:
        raise ClassIdentityError(
            f"{record.name} is a {record.kind} class in the tap and a {installed.kind} class installed",
            path=path,
            cure="install the code that wrote the tap",
        )
    if record.version > installed.version:
        raise ClassIdentityError(
            f"{record.name} has version {record.version} in the tap, {installed.version} is installed",
            path=path,
            cure="install the newer code",
        )
    for version in range(record.version, installed.version):
        if _find_step(cls, version) is None:
            raise UpgradeError(
                f"{record.name} has version {record.version} in the tap, {installed.version} is installed and"
                f" has no upgrade_from_{version}",
                path=path,
                cure=f"add upgrade_from_{version}(state) to the class",
            )
    return record.version < installed.version


def _find_step(cls: Any, version: int) -> Any:
    name = f"upgrade_from_{version}"
    for base in getattr(cls, "__mro__", ()):
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _call(step: Any, obj: object, state: dict[str, Any]) -> Any:
    if isinstance(step, staticmethod):
        return step.__func__(state)
    if isinstance(step, classmethod):
        return step.__func__(type(obj), state)
    # Written without self, as the documentation shows it, or with.
    takes_self = len(inspect.signature(step).parameters) > 1
    return step(obj, state) if takes_self else step(state)


def upgrade_state(obj: object, state: dict[str, Any], record: ClassRecord, path: str) -> dict[str, Any]:
    """Return ``state``, of an object of version ``record.version``, as the installed class wants it.

    Args:
        obj: the object, still blank.
        state: attributes as stored; a step may change it or return another.
        record: what the tap says about the class.
        path: of the tap.

    Raises:
        UpgradeError: if a step raises, or leaves something that cannot be saved.
    """
    cls = type(obj)
    for version in range(record.version, class_record(cls).version):
        where = f"{record.name}.upgrade_from_{version}"
        try:
            result = _call(_find_step(cls, version), obj, state)
            state = state if result is None else result
            if type(state) is not dict or not all(type(name) is str for name in state):
                raise TypeError("it returned something else than a dict of attributes")
            for name, value in state.items():
                if not name.startswith("_v_"):
                    check_value(value, f"{record.name}.{name}")
        except Exception as error:
            reason = str(error) if isinstance(error, TaphouseError) else f"{type(error).__name__}: {error}"
            raise UpgradeError(
                f"{where} failed: {reason.splitlines()[0]:.200}", path=path, cure="correct that method"
            ) from error
    return state
