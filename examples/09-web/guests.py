#!/usr/bin/env python3
"""A guest book on the web that forgets nobody who was thanked.

$ mktap web --app guests:app --port 8209
$ twistd -f web.tap
$ curl -d Ann http://localhost:8209/
$ kill -9 $(cat twistd.pid)
$ twistd -f web-shutdown.tap
$ curl http://localhost:8209/
"""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute


async def read(request):
    guests = request.state.memory.get("guests", [])
    return PlainTextResponse("".join(f"{guest}\n" for guest in guests))


async def sign(request):
    guest = (await request.body()).decode()
    guests = request.state.memory.setdefault("guests", [])
    guests.append(guest)  # on disk before the thanks leave
    return PlainTextResponse(f"thank you, {guest}, guest {len(guests)}\n")


async def look_up(socket):
    await socket.accept()
    async for name in socket.iter_text():
        await socket.send_text("was here" if name in socket.state.memory.get("guests", []) else "never")


app = Starlette(
    routes=[
        Route("/", read),
        Route("/", sign, methods=["POST"]),
        WebSocketRoute("/was-here", look_up),
    ]
)

if __name__ == "__main__":
    print(__doc__)
