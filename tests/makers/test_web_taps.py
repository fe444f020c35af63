"""Taps of ``mktap web`` as operators meet them: started, killed, refused."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading

import pytest

pytestmark = pytest.mark.process

COUNTERS = """
from taphouse import durable

def wsgi(environ, start_response):
    factory = environ["taphouse.factory"]

    def count():
        factory.visits = getattr(factory, "visits", 0) + 1
        return factory.visits

    visits = durable.call(count)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % visits]

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    memory = scope["state"]["memory"]
    memory["visits"] = memory.get("visits", 0) + 1
    body = b"%d" % memory["visits"]
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


class Visitor(threading.Thread):
    """Visits over and over again on one connection, and notes what it was told."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.told = []
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while True:
                connection.request("GET", "/")
                self.told.append(int(connection.getresponse().read()))
        except (OSError, http.client.HTTPException):
            pass  # killed
        finally:
            connection.close()


@pytest.mark.parametrize("attribute", ["wsgi", "asgi"])
def test_no_visit_that_was_told_is_forgotten_by_kill_9(playground, attribute):
    playground.write("counters.py", COUNTERS)
    options = ("-p", "8080", "--no-access-log", "--keep-alive", "1h")
    playground.run("mktap", "web", "--app", f"counters:{attribute}", *options)
    tap = "web.tap"
    told = set()
    for _ in range(3):
        playground.run("twistd", "-f", tap)
        tap = "web-shutdown.tap"
        visitors = [Visitor(playground.port(8080)) for _ in range(4)]
        playground.wait_until(lambda v=visitors: all(len(each.told) > 5 for each in v), "visits")
        playground.kill(signal.SIGKILL)
        for visitor in visitors:
            visitor.join(30)
            assert not told & set(visitor.told), "a number that was told was told again"
            told |= set(visitor.told)
    playground.run("twistd", "-f", tap)
    assert int(playground.run("curl", "-sS", "http://127.0.0.1:8080/").stdout) > max(told)


def refused(playground, *command, status=78):
    """Run a command that has to fail with one line; return the line."""
    said = playground.run(*command, status=status).stderr
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


def test_an_application_that_cannot_start_is_told_in_one_line(playground):
    playground.write(
        "shop.py",
        "from contextlib import asynccontextmanager\n"
        "from starlette.applications import Starlette\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise RuntimeError('no database')\n"
        "    yield\n"
        "app = Starlette(lifespan=lifespan)\n",
    )
    playground.run("mktap", "web", "--app", "shop:app", "-p", "8080")
    line = refused(playground, "twistd", "-f", "web.tap", status=70)
    assert "web application shop:app cannot start: RuntimeError: no database; see the log" in line
    assert "Traceback" in playground.read("twistd.log")
    assert "web-shutdown.tap" not in playground.files()


def test_what_is_missing_at_the_start_is_told_in_one_line(playground):
    for name, text in {"broken.py": "1 / 0\n", "empty.py": "", "gone.py": "app = 1\n"}.items():
        playground.write(name, text)
    for name, said in {
        "broken": "module broken cannot be imported: ZeroDivisionError: division by zero",
        "empty": "web application empty:app: there is no app",
        "gone": "module gone is not there",
    }.items():
        playground.run("mktap", "web", "-o", f"{name}.tap", "--app", f"{name}:app", "-p", "8080")
        if name == "gone":
            (playground.folder / "gone.py").unlink()
        assert said in refused(playground, "twistd", "-f", f"{name}.tap")
    (playground.folder / "public").mkdir()
    playground.run("mktap", "web", "--path", "public", "-p", "8080")
    (playground.folder / "public").rmdir()
    assert "public: No such file or directory" in refused(playground, "twistd", "-f", "web.tap")


def test_a_certificate_that_is_none_is_told_in_one_line(playground):
    (playground.folder / "public").mkdir()
    playground.write("cert.pem", "no certificate\n")
    playground.run("mktap", "web", "--path", "public", "-p", "8443", "--certfile", "cert.pem")
    assert "cert.pem" in refused(playground, "twistd", "-f", "web.tap")
    (playground.folder / "cert.pem").unlink()
    assert "cert.pem" in refused(playground, "twistd", "-f", "web.tap")
    missing = ("mktap", "web", "--path", "public", "--certfile", "cert.pem")
    assert "--certfile" in refused(playground, *missing, status=64)


def test_an_installed_application_is_started_only_if_the_operator_allows_it(playground):
    playground.run("mktap", "web", "--app", "starlette.applications:Starlette", "--app-factory", "-p", "8080")
    assert "--allow-module starlette" in refused(playground, "twistd", "-f", "web.tap")
    playground.run("twistd", "-f", "web.tap", "--allow-module", "starlette")
    playground.run("curl", "-sS", "http://127.0.0.1:8080/")


def test_the_folder_of_an_application_is_remembered(playground):
    playground.write("code/counters.py", COUNTERS)
    playground.run("mktap", "web", "--app", "counters:asgi", "--app-dir", "code", "-p", "8080")
    (playground.folder / "elsewhere").mkdir()
    playground.run("twistd", "-f", "../web.tap", folder="elsewhere")
    assert playground.run("curl", "-sS", "http://127.0.0.1:8080/").stdout == "1"
    playground.kill(signal.SIGTERM, "elsewhere/twistd.pid")
    playground.run("twistd", "-f", "web-shutdown.tap", folder="elsewhere")
    assert playground.run("curl", "-sS", "http://127.0.0.1:8080/").stdout == "2"


FORGE = """
import sys
from taphouse import Application
from taphouse.makers.web.serving import WebApp

target, folder, hides = sys.argv[1:]
factory = WebApp(target, folder)
if hides == "plan":
    WebApp.imports = lambda self: ()
if hides == "attribute":
    factory.imports = ()
app = Application("forged")
app.listenTCP(8080, factory)
app.save(filename="forged.tap")
"""


@pytest.mark.parametrize(
    ("target", "where", "hides", "said"),
    [
        ("antigravity:x", "", "plan", "belongs to Python itself"),
        ("antigravity:x", "", "attribute", "belongs to Python itself"),
        ("click:echo", "site-packages", "plan", "is not allowed"),
        ("no module:at all", "", "plan", "is no module name"),
        ("shop:app", "open", "", "others"),
    ],
)
def test_a_strangers_tap_imports_nothing_that_was_not_meant_for_it(playground, target, where, hides, said):
    import click

    playground.write("forge.py", FORGE)
    folder = {"site-packages": click.__path__[0].rpartition("/")[0], "open": str(playground.folder / "open")}
    playground.write("open/shop.py", "open('imported', 'w')\n")
    (playground.folder / "open").chmod(0o777)
    playground.run(sys.executable, "forge.py", target, folder.get(where, ""), hides)
    line = refused(playground, "twistd", "-n", "-f", "forged.tap", status=77 if where == "open" else 78)
    assert said in line
    assert "imported" not in playground.files()


def test_a_list_of_types_and_the_making_of_a_tap_import_nothing_that_serves():
    code = (
        "import sys\n"
        "from taphouse.plugins import find_makers\n"
        "maker = find_makers().get('web').load()\n"
        "from taphouse import Application\n"
        "maker.update_application(Application('x'), maker.Options(path='.'))\n"
        "print({'uvicorn', 'starlette', 'httptools', 'websockets'} & set(sys.modules))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
