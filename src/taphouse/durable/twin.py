"""Twin: which of the two trackers is used, ``_tracker`` (C) or ``tracker`` (Python).

``TAPHOUSE_PURE=1`` in the environment at import chooses Python.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taphouse.durable.tracker import (
        LedgerCore,
        Row,
        Tracked,
        install,
        install_types,
        quicken,
        restore_simple,
        set_row,
        wrap_alone,
    )

    TRACKER: str
elif os.environ.get("TAPHOUSE_PURE", "") not in ("", "0"):
    from taphouse.durable.tracker import (
        LedgerCore,
        Row,
        Tracked,
        install,
        install_types,
        quicken,
        restore_simple,
        set_row,
        wrap_alone,
    )

    TRACKER = "python"
else:
    try:
        from taphouse.durable._tracker import (
            LedgerCore,
            Row,
            Tracked,
            install,
            install_types,
            quicken,
            restore_simple,
            set_row,
            wrap_alone,
        )

        TRACKER = "c"
    except ImportError:
        from taphouse.durable.tracker import (
            LedgerCore,
            Row,
            Tracked,
            install,
            install_types,
            quicken,
            restore_simple,
            set_row,
            wrap_alone,
        )

        TRACKER = "python"

__all__ = [
    "TRACKER",
    "LedgerCore",
    "Row",
    "Tracked",
    "install",
    "install_types",
    "quicken",
    "restore_simple",
    "set_row",
    "wrap_alone",
]
