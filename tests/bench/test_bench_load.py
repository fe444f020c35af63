"""The load generators count only right replies, and the harness ends what it started."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading

import pytest
from bench.contestant import BenchError
from bench.cores import available_cores
from bench.ports import free_port
from bench.process import serving
from bench.workshop import HERE, SERVERS, Workshop

from playground import PATIENCE_S

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(params=["c", "python"])
def generator(request, workshop):
    if request.param == "python":
        return [sys.executable, str(HERE / "load" / "pingpong.py")]
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    return workshop.load_generator("pingpong")


def pingpong(generator, port, connections=4, size=32, seconds=PATIENCE_S):
    """Load a server; what is wrong with it ends the load, however long it was meant to last."""
    command = [*generator, "127.0.0.1", str(port), str(connections), str(size), "0.02", str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)


def test_an_echo_server_is_measured_and_stopped(generator, workshop, tmp_path):
    port = free_port()
    command = [sys.executable, str(SERVERS / "echo_uvloop.py"), str(port)]
    with serving(command, port, available_cores(), tmp_path, workshop.environment) as server:
        found = pingpong(generator, port, seconds=0.05)
        assert server.cpu_s() > 0
        assert server.private_bytes() > 2**20
    first, figures = found.stdout.splitlines()
    assert first == "warm"
    told = json.loads(figures)
    assert told["requests"] > 0
    assert told["seconds"] >= 0.05
    assert 0 < told["p50_us"] <= told["p99_us"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server is still there"


@pytest.fixture
def answering():
    """Serve one connection with a function from request to reply, on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run(reply):
        def serve():
            client, _ = listener.accept()
            with client, contextlib.suppress(OSError):  # it hangs up without having read all
                while request := client.recv(65536):
                    answer = reply(request)
                    if answer is None:
                        return
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        return listener.getsockname()[1]

    with listener:
        yield run


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda request: request[:-1] + bytes([request[-1] ^ 1]), id="a flipped bit"),
        pytest.param(lambda request: bytes(8) + bytes([1]) + request[9:], id="an earlier reply"),
        pytest.param(lambda request: request + b"!", id="a byte too many"),
    ],
)
def test_a_wrong_reply_fails_the_measurement(generator, answering, reply):
    echoes = iter([True, True])
    port = answering(lambda request: request if next(echoes, False) else reply(request))
    found = pingpong(generator, port, connections=1)
    assert found.returncode == 2
    assert "not what was asked for" in found.stderr


def test_a_closed_connection_fails_the_measurement(generator, answering):
    found = pingpong(generator, answering(lambda _request: None), connections=1)
    assert found.returncode == 3


def test_a_server_that_cannot_start_is_told_with_its_last_words(workshop, tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such application')"]
    with (
        pytest.raises(BenchError, match="ended with 1: no such application"),
        serving(command, free_port(), available_cores(), tmp_path, workshop.environment),
    ):
        pytest.fail("it serves")
