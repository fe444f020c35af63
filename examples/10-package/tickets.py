#!/usr/bin/env python3
"""Tickets for a waiting room, edition 2: each counter has its own numbers.

README.md beside it makes a package of edition 1, installs it, and upgrades it to this one.

    $ python tickets.py
    $ twistd -f tickets-start.tap
    $ echo B | nc -N localhost 8210
"""

from taphouse import Application, Factory


class Tickets(Factory, version=2):
    def __init__(self):
        self.given = {"A": 0}

    def upgrade_from_1(self, state):
        """Edition 1 knew one counter, and called its number ``last``."""
        state["given"] = {"A": state.pop("last")}

    async def serve(self, reader, writer):
        counter = (await reader.readline()).decode().strip() or "A"
        self.given[counter] = self.given.get(counter, 0) + 1
        writer.write(f"counter {counter}, ticket {self.given[counter]}\n".encode())


app = Application("tickets")
app.listenTCP(8210, Tickets())

if __name__ == "__main__":
    app.save("start")
