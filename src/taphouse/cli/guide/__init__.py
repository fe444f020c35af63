"""What people are told of commands: completion in their shell, manual pages.

All of it is made from the parsers that read the command line, through one tree
of plain values.  It must never run a command.
"""

from __future__ import annotations
