"""COMPOSE: the commands, and the one place that knows every room.

What must meet sideways meets here: an application and its tap, a runtime and
its process.  Rooms below never import this one; the front door reaches
`taphouse.cli.compose` when a program saves or runs.  It must stay thin: a rule
about one room's subject belongs into that room.
"""

from __future__ import annotations

__all__: list[str] = []
