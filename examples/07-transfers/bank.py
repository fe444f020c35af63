#!/usr/bin/env python3
"""Money moves whole or not at all.

$ tap run bank.py
$ echo alice bob 30 | nc -N localhost 8207
$ echo alice bob 300 | nc -N localhost 8207
"""

from taphouse import Application, Factory, atomic


class Bank(Factory):
    def __init__(self):
        self.accounts = {"alice": 100, "bob": 50}

    def transfer(self, giver, taker, amount):
        with atomic():  # an exception undoes everything inside
            self.accounts[taker] += amount
            self.accounts[giver] -= amount
            if amount < 0 or self.accounts[giver] < 0:
                raise ValueError(f"{giver} does not have {amount}")

    async def serve(self, reader, writer):
        """Take ``GIVER TAKER AMOUNT`` a line."""
        async for line in reader:
            try:
                giver, taker, amount = line.decode().split()
                self.transfer(giver, taker, int(amount))
            except KeyError as unknown:
                writer.write(f"no account {unknown}\n".encode())
            except ValueError as error:
                writer.write(f"{error}\n".encode())
            else:
                writer.write(f"{giver} {self.accounts[giver]}, {taker} {self.accounts[taker]}\n".encode())


app = Application("bank")
app.listenTCP(8207, Bank())

if __name__ == "__main__":
    app.run()
