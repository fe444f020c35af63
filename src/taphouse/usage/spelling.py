"""Spellings of 2002 that mean nothing any more, and what to write instead.

It must never make an old spelling work.
"""

from __future__ import annotations

__all__ = ["refuse_old_spellings"]

_OPTION = 'name: type = usage.option(default, "-n", help=...)'
_OLD = {
    "optFlags": "name: bool = usage.option(False, '-n', help=...)",
    "optParameters": _OPTION,
    "optStrings": _OPTION,
    "postOptions": "def post_options(self): ...",
    "parseArgs": "name: str = usage.argument(help=...), or list[str] for all that are left",
    "subCommands": "name = usage.command(ItsOptions, help=...)",
    "defaultSubCommand": "name = usage.command(ItsOptions) and ask for self.sub_command in post_options",
    "parseOptions": "Options.parse(argv)",
    "getUsage": "the docstring of the class, and its attribute examples",
    "getSynopsis": "the docstring of the class, and its attribute examples",
    "longdesc": "the docstring of the class",
    "synopsis": "the docstring of the class, and its attribute examples",
}


def refuse_old_spellings(cls: type) -> None:
    """Raise TypeError if a class declares its options as in 2002."""
    for name in cls.__dict__:
        new = _OLD.get(name)
        if name.startswith("opt_"):
            new = f"{name.removeprefix('opt_')}: type = usage.option(default, help=...)"
        if new:
            raise TypeError(f"{cls.__qualname__}.{name} is a spelling of 2002; write {new}")
