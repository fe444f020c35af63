"""The verbs of `tap`, one module each: `make_parser()` and `run(arguments)`.

Imported one at a time by name; nothing is exported.
"""

from __future__ import annotations

__all__: list[str] = []
