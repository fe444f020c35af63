"""The harness under test lies beside the package, not inside it: make it importable from any pytest."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
