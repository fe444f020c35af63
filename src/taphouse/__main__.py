"""``python -m taphouse`` is ``tap``."""

import sys

from taphouse.cli.tap import main

if __name__ == "__main__":
    sys.exit(main())
