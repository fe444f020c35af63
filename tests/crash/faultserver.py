"""The server of the traced runs; in mode ``free`` it decides for itself where commits wait.

    faultserver.py save|serve ...          see crashserver.py

It must never know what fails.
"""

from __future__ import annotations

import os
import sys

import crashserver

if __name__ == "__main__":
    if os.environ["CRASHSERVER_MODE"] == "free":
        crashserver.SETTINGS[crashserver.writer]["FORCED_PATH"] = ""
    sys.exit(crashserver.main(*sys.argv[1:]))
