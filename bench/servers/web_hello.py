"""A web application of starlette, served by taphouse and by uvicorn alone: a greeting, a counter of visits.

The counter keeps what it counts where it is served: in durable state under taphouse, in memory else.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Memory:
    """Stands for the factory where there is none."""

    visits = 0


MEMORY = Memory()


async def hello(request: Request) -> PlainTextResponse:
    """Greet."""
    return PlainTextResponse("hello, world")


async def visits(request: Request) -> PlainTextResponse:
    """Count."""
    counter = getattr(request.state, "factory", MEMORY)
    counter.visits = getattr(counter, "visits", 0) + 1
    return PlainTextResponse(str(counter.visits))


app = Starlette(routes=[Route("/", hello), Route("/visits", visits)])
