"""One type of server in the list of those that can be made.

It must never import the maker before it is asked to.
"""

from __future__ import annotations

import functools

from taphouse.errors import ConfigurationError
from taphouse.plugins.declaration import Declaration
from taphouse.plugins.describing import describe
from taphouse.plugins.maker import Maker, load_maker

__all__ = ["MakerEntry"]


class MakerEntry:
    """A type of server that was found, working or not.

    Its source is read when its `description` or `problem` is asked for, and its code runs at `load` only.

    Args:
        declaration: what was said of it where it was found.
    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.name = declaration.name
        """The type, as typed after ``mktap``."""
        self.origin = declaration.origin
        """Where it was declared, for people: ``"quotes 1.0"`` or a file."""
        self.module = declaration.module
        """The importable name of its module; ``""`` if the declaration has none."""
        self.distribution = declaration.distribution
        """The name of the distribution that declares it; ``""`` for a dropped module."""

    @property
    def description(self) -> str:
        """One line about the server; ``""`` if nobody wrote any."""
        return self._looked_at[0]

    @property
    def problem(self) -> str:
        """Why it cannot be used, as far as that is seen without running it; ``""`` if nothing is wrong."""
        return self._looked_at[1]

    @functools.cached_property
    def _looked_at(self) -> tuple[str, str]:
        return describe(self.declaration)

    def load(self) -> Maker:
        """Import the maker.

        Raises:
            ConfigurationError: it is broken; one line that says where and how.
        """
        if self.problem:
            raise ConfigurationError(self.complaint, cure="mend it, or remove it")
        return load_maker(self.declaration, self.description)

    @property
    def complaint(self) -> str:
        """The `problem` with the name and the place of what has it."""
        return f"server type {self.name} ({self.origin}) is broken: {self.problem}"

    def __repr__(self) -> str:
        return f"<MakerEntry {self.name} from {self.origin}>"
