"""Example 08 is a program with a package beside it, which its tests import."""

from __future__ import annotations

import sys

from playground import TOP

sys.path.append(str(TOP / "examples" / "08-kv"))
