"""ASGI applications of ``mktap web --app``: strangers' applications run unchanged."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from makers.making import run
from makers.webbing import command, parsed, site, talk_websocket
from taphouse.errors import ConfigurationError, InternalError, UsageError

pytestmark = pytest.mark.process

SHOP = """
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

heard = []

@asynccontextmanager
async def lifespan(app):
    heard.append("start")
    yield {"database": "open"}
    heard.append("stop")

async def home(request):
    return PlainTextResponse("hello, " + request.state.database)

async def upload(request):
    body = await request.body()
    return JSONResponse({"length": len(body), "first": body[:5].decode(), "client": request.client.host})

async def seen(request):
    return JSONResponse({"url": str(request.url), "client": request.client.host})

async def fails(request):
    raise ValueError("sixteen")

async def numbers(request):
    async def parts():
        for number in range(5):
            yield f"{number}\\n"
    return StreamingResponse(parts(), media_type="text/plain")

async def shout(socket):
    await socket.accept(subprotocol=next(iter(socket.scope["subprotocols"]), None))
    try:
        while True:
            await socket.send_text((await socket.receive_text()).upper())
    finally:
        heard.append("hung up")

async def no(socket):
    await socket.close()

app = Starlette(
    routes=[
        Route("/", home), Route("/upload", upload, methods=["POST", "PUT"]), Route("/seen", seen),
        Route("/fails", fails), Route("/numbers", numbers),
        WebSocketRoute("/shout", shout), WebSocketRoute("/no", no),
    ],
    lifespan=lifespan,
)
"""


def heard_by(served):
    import sys

    return sys.modules[served.factory.target.partition(":")[0]].heard


def test_an_application_is_served_and_told_of_start_and_stop(web_app):
    async def main():
        async with site(**web_app(SHOP)) as served:
            heard = heard_by(served)
            assert heard == ["start"]
            answer = await served.curl("/")
            assert (answer.status, answer.body) == (200, b"hello, open")
            assert answer.headers["content-length"] == "11"
            assert "server" not in answer.headers
            numbers = await served.curl("/numbers")
            assert (numbers.body.split(), numbers.headers["transfer-encoding"]) == (
                list(b"01234".split()) or [],
                "chunked",
            ) or numbers.body == b"0\n1\n2\n3\n4\n"
            assert (await served.curl("/nothing")).status == 404
            assert (await served.curl("/", "-I")).body == b""
        assert heard == ["start", "stop"]

    run(main())


@pytest.mark.parametrize("words", [(), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")])
def test_bodies_arrive_whole(web_app, tmp_path, words):
    (tmp_path / "body").write_bytes(b"first" + bytes(2_000_000))

    async def main():
        async with site(**web_app(SHOP)) as served:
            answer = await served.curl("/upload", "--data-binary", f"@{tmp_path / 'body'}", *words)
            assert json.loads(answer.body) == {"length": 2_000_005, "first": "first", "client": "127.0.0.1"}

    run(main())


def test_a_websocket_talks_and_may_be_refused(web_app):
    async def main():
        async with site(**web_app(SHOP)) as served:
            address = f"ws://127.0.0.1:{served.port}"
            async with talk_websocket(f"{address}/shout", subprotocols=["loud"]) as socket:
                assert socket.subprotocol == "loud"
                for word in ("one", "ü" * 100_000):
                    await socket.send(word)
                    assert await socket.recv() == word.upper()
            with pytest.raises(InvalidStatus) as refused:
                await talk_websocket(f"{address}/no")
            assert refused.value.response.status_code == 403

    run(main())


def test_a_websocket_message_that_is_too_long_ends_the_connection(web_app):
    async def main():
        async with site(**web_app(SHOP, websocket_max="1kB")) as served:
            async with talk_websocket(f"ws://127.0.0.1:{served.port}/shout") as socket:
                await socket.send("x" * 2000)
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
            assert closed.value.rcvd.code == 1009

    run(main())


def test_a_fastapi_application_runs_unchanged(web_app):
    text = """
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

app = FastAPI()

class Item(BaseModel):
    name: str
    price: float

@app.post("/items/{number}")
async def create(number: int, item: Item):
    return {"number": number, "name": item.name}

@app.get("/slow")
def in_a_thread():
    return {"thread": True}

@app.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    await socket.send_json(await socket.receive_json())
"""

    async def main():
        async with site(**web_app(text)) as served:
            json_type = ("-H", "Content-Type: application/json")
            good = await served.curl("/items/7", *json_type, "-d", '{"name": "tap", "price": 1.5}')
            assert json.loads(good.body) == {"number": 7, "name": "tap"}
            assert (await served.curl("/items/x", *json_type, "-d", "{}")).status == 422
            assert json.loads((await served.curl("/slow")).body) == {"thread": True}
            assert json.loads((await served.curl("/openapi.json")).body)["info"]["title"] == "FastAPI"
            async with talk_websocket(f"ws://127.0.0.1:{served.port}/ws") as socket:
                await socket.send('{"a": 1}')
                assert json.loads(await socket.recv()) == {"a": 1}

    run(main())


PLAIN = """
async def respond(send, text):
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await respond(send, b"three")

class Callable:
    async def __call__(self, scope, receive, send):
        await respond(send, scope["path"].encode())

instance = Callable()

class Two:
    def __init__(self, scope):
        self.scope = scope
    async def __call__(self, receive, send):
        await respond(send, b"two")

def make():
    return app

def wrapped(scope, receive, send):
    return app(scope, receive, send)
"""


@pytest.mark.parametrize(
    ("attribute", "more", "said"),
    [
        ("app", {}, b"three"),
        ("app", {"app_type": "asgi"}, b"three"),
        ("app", {"lifespan": "off"}, b"three"),
        ("instance", {}, b"/x"),
        ("instance.__call__", {}, b"/x"),
        ("Two", {}, b"two"),
        ("Two", {"app_type": "asgi"}, b"two"),
        ("wrapped", {}, b"three"),
        ("make", {"app_factory": True}, b"three"),
    ],
)
def test_each_way_to_write_an_application_is_known(web_app, attribute, more, said):
    async def main():
        async with site(**web_app(PLAIN, attribute, **more)) as served:
            assert (await served.curl("/x")).body == said

    run(main())


def test_an_exception_in_a_request_is_told_to_the_log_alone(web_app, caplog):
    async def main():
        async with site(**web_app(SHOP)) as served:
            answer = await served.curl("/fails")
            assert (answer.status, answer.body) == (500, b"Internal Server Error")
            assert b"sixteen" not in answer.raw
            assert (await served.curl("/")).status == 200

    run(main())
    assert any("sixteen" in str(record.exc_info) for record in caplog.records)


@pytest.mark.parametrize(
    ("text", "attribute", "more", "message"),
    [
        ("", "app", {}, "there is no app"),
        ("async def api(s, r, t): pass", "app", {}, "there is no app; there is webmodule"),
        ("import os", "os.system", {}, "attribute os is another module"),
        ("app = 7", "app", {}, "int 7, which cannot be called"),
        ("1 / 0", "app", {}, "ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", "app", {}, "No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "app", {}, "SystemExit: 3"),
        ("app = (", "app", {}, "SyntaxError"),
        ("def app(*anything): pass", "app", {}, "does not show whether it is ASGI or WSGI"),
        ("def app(): raise KeyError('x')", "app", {"app_factory": True}, "cannot be made: KeyError: 'x'"),
    ],
)
def test_an_application_that_is_not_there_keeps_the_server_from_starting(
    web_app, text, attribute, more, message
):
    async def main():
        async with site(**web_app(text, attribute, **more)):
            raise AssertionError("it runs")

    with pytest.raises(ConfigurationError) as refused:
        run(main())
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 78


LIFESPANS = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def raising(app):
    raise RuntimeError("no database\\nat all")
    yield

starlette = Starlette(lifespan=raising)

async def plain(scope, receive, send):
    await receive()
    raise OSError("no disk")

async def says_failed(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no\\nnetwork"})

async def silent(scope, receive, send):
    assert scope["type"] == "http", "only HTTP"

async def leaves(scope, receive, send):
    raise SystemExit("gone")
"""


@pytest.mark.parametrize(
    ("attribute", "mode", "reason"),
    [
        ("starlette", "auto", "RuntimeError: no database at all"),
        ("plain", "on", "OSError: no disk"),
        ("says_failed", "auto", "network"),
        ("silent", "on", "AssertionError: only HTTP"),
        ("leaves", "on", "SystemExit: gone"),
    ],
)
def test_an_application_that_cannot_start_keeps_the_server_from_starting(web_app, attribute, mode, reason):
    chosen = web_app(LIFESPANS, attribute, lifespan=mode)

    async def main():
        async with site(**chosen):
            raise AssertionError("it runs")

    with pytest.raises(InternalError) as refused:
        run(main())
    assert str(refused.value) == f"web application {chosen['app']} cannot start: {reason}; see the log"
    assert refused.value.exit_code == 70


@pytest.mark.parametrize("attribute", ["silent", "leaves", "plain"])
def test_an_application_that_knows_no_lifespan_is_served_without(web_app, attribute):
    async def main():
        async with site(**web_app(LIFESPANS, attribute)) as served:
            assert (await served.curl("/")).status == 500

    run(main())


def test_a_lifespan_that_fails_at_the_stop_is_logged(web_app, caplog):
    text = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise OSError("no disk")
"""

    async def main():
        async with site(**web_app(text)):
            pass

    run(main())
    assert any("failed at the stop" in record.message for record in caplog.records)


def test_what_a_proxy_says_of_its_client_is_believed_if_it_may(web_app):
    forwarded = ("-H", "X-Forwarded-For: 192.0.2.7", "-H", "X-Forwarded-Proto: https")

    async def seen(**more):
        async with site(**web_app(SHOP, **more)) as served:
            return json.loads((await served.curl("/seen", *forwarded, "-H", "Host: shop.example")).body)

    async def main():
        trusted = {"url": "https://shop.example/seen", "client": "192.0.2.7"}
        untrusted = {"url": "http://shop.example/seen", "client": "127.0.0.1"}
        assert await seen() == trusted
        assert await seen(forwarded_allow_ips=["127.0.0.0/8"]) == trusted
        assert await seen(forwarded_allow_ips=["10.0.0.0/8"]) == untrusted
        assert await seen(proxy_headers=False) == untrusted

    run(main())


def test_a_root_path_is_told_to_the_application(web_app):
    async def main():
        async with site(**web_app(SHOP, root_path="/shop")) as served:
            url = json.loads((await served.curl("/seen")).body)["url"]
            assert url == f"http://127.0.0.1:{served.port}/shop/seen"

    run(main())


@pytest.mark.parametrize("access_log", [True, False])
def test_requests_are_logged_unless_not_asked_for(web_app, caplog, access_log):
    caplog.set_level("INFO")

    async def main():
        async with site(**web_app(SHOP, access_log=access_log)) as served:
            await served.curl("/?a=%0a")
            async with talk_websocket(f"ws://127.0.0.1:{served.port}/shout"):
                pass

    run(main())
    lines = [record.getMessage() for record in caplog.records]
    assert any('"GET /?a=%0a HTTP/1.1" 200' in line for line in lines) is access_log
    assert any('"WebSocket /shout" [accepted]' in line for line in lines) is access_log


def test_who_comes_when_there_are_too_many_is_told_so(web_app):
    async def main():
        async with site(**web_app(SHOP, limit_concurrency=2)) as served:
            _, idle = await asyncio.open_connection("127.0.0.1", served.port)
            answer = await served.curl("/")
            assert (answer.status, answer.body) == (503, b"Service Unavailable")
            idle.close()

    run(main())


@pytest.mark.parametrize(
    ("options_given", "message"),
    [
        ({}, "nothing to serve; say --path FOLDER for files, or --app MODULE:ATTRIBUTE for an application"),
        ({"path": ".", "app": "a:b"}, "--path and --app contradict each other"),
        ({"path": ".", "threads": 3}, "--threads says nothing about files; it goes with --app"),
        ({"app": "a:b", "index": True}, "--index says nothing about an application; it goes with --path"),
        ({"app": "shop"}, "--app 'shop' is not MODULE:ATTRIBUTE"),
        ({"app": ":app"}, "--app ':app' is not MODULE:ATTRIBUTE"),
        ({"app": "shop:"}, "--app 'shop:' is not MODULE:ATTRIBUTE"),
        ({"app": "shop:app()"}, "--app 'shop:app()' is not MODULE:ATTRIBUTE"),
        ({"app": "antigravity:x"}, "module antigravity belongs to Python itself"),
        ({"app": "wsgiref.simple_server:demo_app"}, "module wsgiref.simple_server belongs to Python itself"),
        ({"path": ".", "root_path": "shop/"}, "--root-path 'shop/' is no path"),
        ({"app": "a:b", "forwarded_allow_ips": ["here"]}, "--forwarded-allow-ips 'here' is no address"),
        ({"path": "/no/such/folder"}, "/no/such/folder does not exist"),
        ({"path": ".", "port": 70000}, "port"),
        ({"path": ".", "keep_alive": "soon"}, "keep_alive"),
        ({"app": "no_such_module_at_all:app"}, "is neither in"),
    ],
)
def test_options_that_cannot_be_right_are_refused_in_one_line(options_given, message):
    from makers.making import build
    from taphouse.makers import web

    with pytest.raises(UsageError) as refused:
        build(web, **options_given)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_without_its_certificate_is_refused(tmp_path):
    from taphouse.makers.web import Options

    (tmp_path / "key.pem").write_text("")
    with pytest.raises(UsageError, match="--keyfile without --certfile"):
        Options(path=tmp_path, keyfile=tmp_path / "key.pem")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path):
    from makers.making import build
    from taphouse.makers import web
    from taphouse.makers.web import serving

    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(ConfigurationError) as refused:
        build(web, path=tmp_path)
    assert str(refused.value) == "web needs uvicorn; pip install taphouse[web]"


def test_a_tls_server_shows_its_certificate(web_app, tmp_path):
    certificate = (
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    )
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"))

    async def main():
        await command("openssl", "req", *certificate, *name, *files)
        tls = {"certfile": tmp_path / "cert.pem", "keyfile": tmp_path / "key.pem"}
        async with site(**web_app(SHOP, **tls)) as served:
            curl = ("curl", "-sSi", "--resolve", f"localhost:{served.port}:127.0.0.1")
            url = f"https://localhost:{served.port}/seen"
            answer = parsed(await command(*curl, "--cacert", str(tmp_path / "cert.pem"), url))
            assert json.loads(answer.body)["url"] == url
            insecure = parsed(await command(*curl, "-k", url, url))
            assert insecure.status == 200

    run(main())
