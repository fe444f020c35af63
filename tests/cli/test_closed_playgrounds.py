"""The playground itself: what is closed has let go of everything."""

from __future__ import annotations

import socket

import pytest

from playground import Playground

pytestmark = pytest.mark.process

SERVER = """\
import socket
from pathlib import Path
ballast = bytearray(100_000_000)  # an exit that takes its time
with socket.create_server(("127.0.0.1", 8123)) as listener:
    Path("ready").touch()
    listener.accept()
"""


def test_a_port_of_a_closed_playground_is_free_at_once() -> None:
    place = Playground()
    place.write("server.py", SERVER)
    place.run("sh", "-c", "setsid python server.py >/dev/null 2>&1 & until [ -e ready ]; do :; done")
    place.close()
    with socket.create_server(("127.0.0.1", place.port(8123))):
        pass
