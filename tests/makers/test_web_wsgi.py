"""WSGI applications of ``mktap web --app``: each request in a thread, as PEP 3333 wants it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import pytest

from makers.making import run
from makers.webbing import site, until
from taphouse.makers.web.threads import ThreadPool

pytestmark = pytest.mark.process

SHOP = """
import json
import threading
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

closed = threading.Event()
go_on = threading.Event()
busy = []
most = []

def app(environ, start_response):
    return PATHS[environ["PATH_INFO"]](environ, start_response)

def text(start_response, said, status="200 OK"):
    start_response(status, [("Content-Type", "text/plain")])
    return [said]

def home(environ, start_response):
    return text(start_response, b"hello")

def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    return text(start_response, json.dumps([len(body), environ.get("CONTENT_LENGTH")]).encode())

def show(environ, start_response):
    said = {key: value for key, value in environ.items() if isinstance(value, (str, bool))}
    return text(start_response, json.dumps(said).encode())

class Parts:
    def __iter__(self):
        yield b"one "
        yield b""
        yield b"two"
    def close(self):
        closed.set()

def parts(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Parts()

def slowly(environ, start_response):
    start_response("200 OK", [])
    yield b"first\\n"
    assert go_on.wait(30)
    yield b"second\\n"

def for_ever(environ, start_response):
    start_response("200 OK", [])
    try:
        while True:
            yield b"x" * 65536
    finally:
        closed.set()

def written(environ, start_response):
    write = start_response("201 Created", [("Content-Type", "text/plain")])
    write(b"written, ")
    return [b"returned"]

def second_thought(environ, start_response):
    start_response("200 OK", [])
    try:
        raise ValueError("second thought")
    except ValueError:
        import sys
        start_response("503 Service Unavailable", [], sys.exc_info())
    return [b"sorry"]

def empty(environ, start_response):
    start_response("204 No Content", [])
    return []

def fails(environ, start_response):
    raise ValueError("sixteen")

def fails_late(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    raise ValueError("seventeen")

def says_nothing(environ, start_response):
    return [b"x"]

def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []

def is_text(environ, start_response):
    start_response("200 OK", [])
    return ["text"]

def leaves(environ, start_response):
    raise SystemExit(3)

def together(environ, start_response):
    busy.append(1)
    most.append(len(busy))
    go_on.wait(30)
    busy.pop()
    return text(start_response, b"done")

PATHS = {
    "/": home, "/echo": echo, "/show": show, "/shöp x": show, "/parts": parts, "/slowly": slowly,
    "/for_ever": for_ever, "/written": written, "/second": second_thought, "/empty": empty, "/fails": fails,
    "/fails_late": fails_late, "/says_nothing": says_nothing, "/twice": twice, "/is_text": is_text,
    "/leaves": leaves, "/together": together,
}
PATHS = {path.encode().decode("latin-1"): view for path, view in PATHS.items()}
checked = validator(app)

class AsClass:
    def __init__(self, environ, start_response):
        start_response("200 OK", [])
    def __iter__(self):
        return iter([b"class"])
"""


def served(web_app, talk, attribute="app", **more):
    async def main():
        async with site(**web_app(SHOP, attribute, **more)) as server:
            server.module = sys.modules[server.factory.target.partition(":")[0]]
            return await talk(server)

    return run(main())


def test_an_application_of_the_standard_library_answers(web_app):
    async def talk(server):
        answer = await server.curl("/some/path?a=1")
        assert answer.status == 200
        assert answer.headers["content-length"] == str(len(answer.body))
        assert b"Hello world!" in answer.body
        assert b"PATH_INFO = '/some/path'" in answer.body
        assert b"QUERY_STRING = 'a=1'" in answer.body

    served(web_app, talk, "demo_app")


@pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")
def test_the_standard_librarys_judge_has_nothing_to_complain_of(web_app):
    async def talk(server):
        for path in ("/", "/parts", "/written"):
            assert (await server.curl(path, "-H", "Content-Type: text/plain")).status < 300

    served(web_app, talk, "checked", app_type="wsgi")


def test_the_request_is_described_as_the_standard_says(web_app):
    async def talk(server):
        twice = ("-H", "X-Two: a", "-H", "X-Two: b", "-H", "Cookie: a=1", "-H", "Cookie: b=2")
        shown = json.loads((await server.curl("/sh%C3%B6p%20x?q=%20", *twice)).body)
        assert shown["PATH_INFO"].encode("latin-1").decode() == "/shöp x"
        assert (shown["QUERY_STRING"], shown["REQUEST_METHOD"]) == ("q=%20", "GET")
        assert (shown["SCRIPT_NAME"], shown["SERVER_PROTOCOL"]) == ("", "HTTP/1.1")
        assert (shown["SERVER_NAME"], shown["SERVER_PORT"]) == ("127.0.0.1", str(server.port))
        assert (shown["REMOTE_ADDR"], shown["wsgi.url_scheme"]) == ("127.0.0.1", "http")
        assert (shown["HTTP_X_TWO"], shown["HTTP_COOKIE"]) == ("a,b", "a=1; b=2")
        assert (shown["wsgi.multithread"], shown["wsgi.run_once"]) == (True, False)
        forged = json.loads((await server.curl("/show", "-H", "X_Real: me", "-H", "Proxy: evil")).body)
        assert "HTTP_X_REAL" not in forged
        assert "HTTP_PROXY" not in forged

    served(web_app, talk)


def test_a_root_path_is_the_name_of_the_script(web_app):
    async def talk(server):
        shown = json.loads((await server.curl("/show")).body)
        assert (shown["SCRIPT_NAME"], shown["PATH_INFO"]) == ("/shop", "/show")

    served(web_app, talk, root_path="/shop")


@pytest.mark.parametrize("words", [(), ("-H", "Transfer-Encoding: chunked")])
def test_a_long_body_arrives_whole(web_app, tmp_path, words):
    (tmp_path / "body").write_bytes(bytes(3_000_000))

    async def talk(server):
        answer = await server.curl("/echo", "--data-binary", f"@{tmp_path / 'body'}", *words)
        length, said = json.loads(answer.body)
        assert (length, said) == (3_000_000, None if words else "3000000")

    served(web_app, talk)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/parts", 200, b"one two"),
        ("/written", 201, b"written, returned"),
        ("/second", 503, b"sorry"),
        ("/empty", 204, b""),
        ("/fails", 500, b"Internal Server Error"),
        ("/says_nothing", 500, b"Internal Server Error"),
        ("/twice", 500, b"Internal Server Error"),
        ("/is_text", 500, b"Internal Server Error"),
        ("/leaves", 500, b"Internal Server Error"),
    ],
)
def test_each_way_to_answer(web_app, path, status, body):
    async def talk(server):
        answer = await server.curl(path)
        assert (answer.status, answer.body) == (status, body)
        assert (await server.curl("/")).status == 200
        if path == "/parts":
            assert server.module.closed.is_set()

    served(web_app, talk)


def test_an_application_may_be_a_class(web_app):
    async def talk(server):
        assert (await server.curl("/")).body == b"class"

    served(web_app, talk, "AsClass")


def test_what_fails_in_the_middle_ends_the_connection(web_app, caplog):
    async def talk(server):
        answer = await server.say(b"GET /fails_late HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"begun" in answer
        assert not answer.endswith(b"0\r\n\r\n")

    served(web_app, talk)
    assert any("seventeen" in str(record.exc_info) for record in caplog.records)


def test_a_part_is_sent_when_it_is_there(web_app):
    async def talk(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slowly HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"first\n")
        server.module.go_on.set()
        await reader.readuntil(b"second\n")
        writer.close()

    served(web_app, talk)


def test_who_hangs_up_ends_the_response(web_app):
    async def talk(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /for_ever HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        await until(server.module.closed.is_set)
        assert (await server.curl("/")).status == 200

    served(web_app, talk)


def test_no_more_threads_work_than_is_allowed(web_app):
    async def talk(server):
        asking = [asyncio.create_task(server.curl("/together")) for _ in range(6)]
        await until(lambda: len(server.module.most) == 2)
        server.module.go_on.set()
        assert {(await answer).body for answer in asking} == {b"done"}
        assert max(server.module.most) == 2

    served(web_app, talk, threads=2)


def test_a_websocket_to_a_wsgi_application_is_a_plain_request(web_app):
    async def talk(server):
        upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13")
        assert (await server.curl("/", *upgrade)).status == 200

    served(web_app, talk)


def test_threads_of_a_pool_end_with_it():
    async def main():
        pool = ThreadPool(3, "some pool")
        assert await asyncio.gather(*(pool.run(lambda n=n: n * n) for n in range(50))) == [
            n * n for n in range(50)
        ]
        named = [thread for thread in threading.enumerate() if thread.name.startswith("some pool-")]
        assert 1 <= len(named) <= 3
        assert all(thread.daemon for thread in named)
        pool.close()
        await until(lambda: not any(thread.is_alive() for thread in named))
        with pytest.raises(RuntimeError, match="have ended"):
            await pool.run(lambda: 1)

    run(main())


def test_an_exception_in_a_thread_reaches_who_waits():
    async def main():
        pool = ThreadPool(1, "failing pool")
        for error, seen in ((ValueError("x"), ValueError), (StopIteration(), RuntimeError)):

            def fail(error=error):
                raise error

            with pytest.raises(seen):
                await pool.run(fail)
        assert await pool.run(lambda: "alive") == "alive"
        pool.close()

    run(main())


def test_what_threads_remember_goes_through_durable_call(web_app, tmp_path, caplog):
    text = """
from fastapi import FastAPI, Request
from taphouse import durable

api = FastAPI()

@api.get("/call")
def call(request: Request):
    memory = request.state.memory
    return durable.call(lambda: memory.setdefault("seen", []).append(1) or len(memory["seen"]))

@api.get("/write")
def write(request: Request):
    request.state.memory["seen"] = []

def app(environ, start_response):
    start_response("200 OK", [])
    environ["taphouse.memory"]["seen"] = []
    return [b"never"]
"""

    async def main():
        running = {"run_directory": tmp_path}
        async with site(running, **web_app(text, "api")) as server:
            assert [(await server.curl("/call")).body for _ in range(2)] == [b"1", b"2"]
            assert (await server.curl("/write")).status == 500
            assert len(server.factory.memory["seen"]) == 2
        async with site({**running, "fresh": True}, **web_app(text, "app")) as server:
            assert (await server.curl("/")).status == 500
            assert "seen" not in server.factory.memory

    run(main())
    assert any("another thread" in str(record.exc_info) for record in caplog.records)
