"""Libraries that know nothing of the gate work on top of it, and what they say waits for the commit."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from aiosmtpd.smtp import SMTP
from gatebench import GateBench
from postgres import USER, running_postgres

from playground import PATIENCE_S
from taphouse.runtime import make_client_context, make_server_context

pytestmark = pytest.mark.process

# Of struct tcp_info, linux/tcp.h: everything handed to the network, and what of it was a repetition.
_BYTES_SENT, _BYTES_REPEATED = 200, 208


def sent() -> int:
    """Return how many bytes have left through the TCP connections of this loop."""
    guests: Any = asyncio.get_running_loop()
    total = 0
    for connection in guests.guests.live:
        sock = connection.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            total += struct.unpack_from("Q", info, _BYTES_SENT)[0]
            total -= struct.unpack_from("Q", info, _BYTES_REPEATED)[0]  # after a pause of the whole machine
    return total


async def turns(count: int = 50) -> None:
    """Let the loop poll and call for some turns: what is not kept has left by then."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def gated() -> GateBench:
    bench = GateBench()
    loop: Any = asyncio.get_running_loop()
    loop.use_gate(bench.epochs)
    return bench


async def held(bench: GateBench, waiting: asyncio.Future[Any], before: int) -> None:
    """Check that nothing leaves until the commit has landed, and that something does then."""
    await until(lambda: bench.landings)
    await turns()
    assert sent() == before, "bytes left before the commit"
    assert not waiting.done()
    bench.land()
    await until(lambda: waiting.done() or bench.landings)
    assert not bench.landings, "one change, one commit"


class Shop:
    """The peer of an HTTP client: answers each request on a thread, with the request's body."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.port = self._listening.getsockname()[1]
        self.orders: list[bytes] = []

    def serve(self) -> None:
        with self._listening, self._listening.accept()[0] as plain:
            plain.settimeout(PATIENCE_S)
            with self._context.wrap_socket(plain, server_side=True) if self._context else plain as secure:
                while request := self._request(secure):
                    self.orders.append(request)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request) + request)

    def _request(self, stream: socket.socket) -> bytes:
        data = b""
        while more := stream.recv(65536):
            data += more
            head, end, body = data.partition(b"\r\n\r\n")
            if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split()[0]):
                return body
        return b""


class Orders(asyncio.Protocol):
    """A handler that tells another server what it has noted, over HTTP, and then its client."""

    def __init__(self, bench: GateBench, client: httpx.AsyncClient, url: str) -> None:
        self.bench, self.client, self.url = bench, client, url

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.bench.counter.n += 1
        self.task = asyncio.ensure_future(self.pass_on(b"order %d" % self.bench.counter.n))

    async def pass_on(self, order: bytes) -> None:
        answer = await self.client.post(self.url, content=order)
        self.transport.write(answer.content)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_a_handler_says_through_httpx_waits_for_the_handlers_change(run, scheme, certfile, keyfile):
    async def main():
        loop = asyncio.get_running_loop()
        bench = gated()
        shop = Shop(make_server_context(certfile, keyfile) if scheme == "https" else None)
        serving = loop.run_in_executor(None, shop.serve)
        async with httpx.AsyncClient(
            verify=make_client_context(certfile), trust_env=False, timeout=PATIENCE_S
        ) as client:
            url = f"{scheme}://127.0.0.1:{shop.port}/"
            answer = await client.post(url, content=b"hello")  # nothing has changed: it need not wait
            assert (answer.status_code, answer.content, bench.committed) == (200, b"hello", [])
            before = sent()
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            _, handler = await loop.connect_accepted_socket(lambda: Orders(bench, client, url), ours)
            theirs.send(b"please")
            await until(lambda: bench.landings)
            await turns()
            assert sent() == before, "the request left before the commit"
            assert shop.orders == [b"hello"]
            bench.land()
            assert await loop.sock_recv(theirs, 100) == b"order 1"
            assert bench.committed == [1]
            assert shop.orders == [b"hello", b"order 1"]
            handler.transport.abort()
            theirs.close()
        await serving
        await until(lambda: not loop.guests.live)

    run(main())


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    with running_postgres() as port:
        yield port


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_what_is_told_to_postgresql_through_asyncpg_waits_for_the_change_it_follows(
    run, secure, postgres, certfile
):
    async def main():
        bench = gated()
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=postgres,
            user=USER,
            database="postgres",
            ssl=make_client_context(certfile) if secure else False,
        )
        await connection.execute("create temporary table orders (n integer)")
        insert = await connection.prepare("insert into orders values ($1)")
        before = sent()
        bench.counter.n = 7
        inserting = asyncio.ensure_future(insert.fetch(bench.counter.n))
        await held(bench, inserting, before)
        await inserting
        assert sent() > before
        assert await connection.fetchval("select n from orders") == 7
        is_secure = await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert is_secure is secure
        await connection.close()
        loop: Any = asyncio.get_running_loop()
        await until(lambda: not loop.guests.live)

    run(main())


class Mailbox:
    """Counts letters durably."""

    def __init__(self, bench: GateBench) -> None:
        self.bench = bench
        self.letters: list[bytes] = []
        self.before = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(envelope.content)
        self.bench.counter.n += 1
        self.before = sent()
        return "250 kept"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "starttls"])
def test_a_letter_is_not_acknowledged_by_aiosmtpd_before_it_is_kept(run, secure, certfile, keyfile):
    def post(port: int) -> tuple[bool, dict[str, Any]]:
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
            if secure:
                client.starttls(context=make_client_context(certfile))
            refused = client.sendmail("a@localhost", ["b@localhost"], "Subject: hello\r\n\r\nyou\r\n")
            return isinstance(client.sock, ssl.SSLSocket), refused

    async def main():
        loop: Any = asyncio.get_running_loop()
        bench = gated()
        mailbox = Mailbox(bench)
        context = make_server_context(certfile, keyfile)
        server = await loop.create_server(
            lambda: SMTP(mailbox, hostname="localhost", tls_context=context, loop=loop), "127.0.0.1", 0
        )
        posting = loop.run_in_executor(None, post, server.sockets[0].getsockname()[1])
        await until(lambda: mailbox.letters or posting.done())
        await held(bench, posting, mailbox.before)
        assert await posting == (secure, {})
        assert bench.committed == [1]
        assert mailbox.letters == [b"Subject: hello\r\n\r\nyou\r\n"]
        server.close()
        await until(lambda: not loop.guests.live)

    run(main())
