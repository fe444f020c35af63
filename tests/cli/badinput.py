"""Bad input: a server to be harmed, and the look at what was said and what was lost."""

from __future__ import annotations

from playground import Playground

OTK = """\
from taphouse import Application, Factory, Protocol

class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        transport.write(b"%d\\n" % key)
        transport.close()

class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0

app = Application("otk")
app.listenTCP(8123, Keys(), interface="127.0.0.1")

if __name__ == "__main__":
    app.save("start")
"""


def contents(playground: Playground) -> dict[str, bytes]:
    """Return every file but logs; hidden ones too, except the locks that live for the time of a start."""
    return {
        str(path.relative_to(playground.folder)): path.read_bytes()
        for path in playground.folder.rglob("*")
        if path.is_file() and not path.name.endswith((".log", ".lock", ".pyc"))
    }


def refused(
    playground: Playground, *command: str, status: int, says: tuple[str, ...], folder: str = "."
) -> str:
    """Run a command that is refused in one line, and see that no file has changed."""
    before = contents(playground)
    done = playground.run(*command, status=status, folder=folder)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for text in says:
        assert text in lines[0]
    assert contents(playground) == before
    return lines[0]
