#!/usr/bin/env python3
"""A chat for all who connect, in coroutine style; the last lines greet newcomers, also after a crash.

$ tap run chat.py
$ nc localhost 8204         # in two more terminals
"""

from collections import deque

from taphouse import Application, Factory, durable


class Chat(Factory):
    here = durable.volatile(set)  # the writers of those connected now: never saved, empty at every start

    def __init__(self):
        self.said = deque(maxlen=10)

    async def serve(self, reader, writer):
        writer.writelines(self.said)
        self.here.add(writer)
        try:
            async for line in reader:
                self.said.append(line)
                self.tell_others(writer, line)
        finally:
            self.here.discard(writer)

    def tell_others(self, speaker, line):
        for writer in self.here - {speaker}:
            if writer.transport.get_write_buffer_size() > 100_000:
                writer.transport.abort()  # does not listen
            else:
                writer.write(line)


app = Application("chat")
app.listenTCP(8204, Chat())

if __name__ == "__main__":
    app.run()
