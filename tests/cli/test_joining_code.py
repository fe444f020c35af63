"""Code that goes on from its state: what was remembered wins, what is declared as configuration does not."""

from __future__ import annotations

import pytest

from playground import Playground

pytestmark = pytest.mark.process

SERVER = """
from taphouse import Application, Factory, Protocol

class Say(Protocol):
    def connection_made(self, transport):
        f = self.factory
        transport.write(f"{f.name} {f.greeting} {f.visits}".encode())
        transport.close()
        f.name = f.greeting = "changed"
        f.visits += 1

class Door(Factory, config=("greeting",)):
    protocol = Say

    def __init__(self):
        self.name, self.greeting, self.visits = "first", "hello", 0

application = Application("door")
application.listenTCP(8123, Door())
"""


def test_a_durable_attribute_keeps_its_stored_value_whatever_it_is_called(playground: Playground) -> None:
    playground.write("door.py", SERVER)
    playground.run("twistd", "-y", "door.py")
    assert playground.ask(8123) == b"first hello 0"
    playground.kill()
    playground.run("twistd", "-y", "door.py")
    assert playground.ask(8123) == b"changed hello 1", "greeting is configuration, name and visits are state"
