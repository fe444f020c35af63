#!/usr/bin/env python3
"""A service that reminds: what it promised before a crash it keeps after it.

    $ tap run reminders.py
    $ echo 300 tea is ready | nc -N localhost 8205

The reminder appears in the log 300 seconds later, or at once if the server was down at that moment.
"""

from taphouse import Application, Factory, Service


class Reminders(Service):
    name = "reminders"

    def __init__(self):
        self.promised = 0
        self.kept = []
        self.minutes = 0  # on duty, over all runs

    def promise(self, seconds, text):
        self.promised += 1
        self.application.addDelayed(seconds, self.remind, text)  # durable: kept across kill -9

    def remind(self, text):
        self.kept.append(text)
        print("reminder:", text)

    def tick(self):
        self.minutes += 1


class Desk(Factory):
    """Takes ``SECONDS TEXT`` a line."""

    def __init__(self, reminders):
        self.reminders = reminders

    async def serve(self, reader, writer):
        async for line in reader:
            seconds, _, text = line.decode().strip().partition(" ")
            self.reminders.promise(float(seconds), text)
            writer.write(b"promised\n")


reminders = Reminders()
app = Application("reminders")
app.addService(reminders)
app.addPeriodic(60, reminders.tick)
app.listenTCP(8205, Desk(reminders))

if __name__ == "__main__":
    app.run()
