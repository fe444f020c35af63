"""What the ends of measured forwarders see is compared, and every forwarder that is measured forwards."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading

import pytest
from bench.cores import available_cores
from bench.groups import portforward
from bench.ports import free_port
from bench.process import serving
from bench.workshop import HERE, SERVERS, Workshop

from playground import PATIENCE_S

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
]


FLIPPED = bytes(byte ^ 1 for byte in range(256))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("workshop"), seconds=0.05)


def stream(workshop, port, target_port, seconds=PATIENCE_S):
    """Send a stream; what is wrong with it ends it, however long it was meant to last."""
    generator = str(workshop.compiled(HERE / "load" / "stream.c"))
    command = [generator, str(port), str(target_port), "1", "0.02", str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)


@pytest.fixture
def forwarding():
    """Forward one connection with a function from what comes to what is passed on, on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    target_port = free_port()

    def run(change):
        def serve():
            client, _ = listener.accept()
            with (
                client,
                socket.create_connection(("127.0.0.1", target_port)) as target,
                contextlib.suppress(OSError),  # both are one program, which hangs up without having read all
            ):
                while data := client.recv(65536):
                    target.sendall(change(data))

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1], target_port

    with listener:
        yield run


def test_what_passes_is_counted(workshop, forwarding):
    found = stream(workshop, *forwarding(lambda data: data), seconds=0.05)
    first, figures = found.stdout.splitlines()
    assert first == "warm"
    assert json.loads(figures)["megabytes"] > 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data.translate(FLIPPED), id="flipped bits"),
        pytest.param(lambda data: data[1:], id="a byte too few"),
        pytest.param(lambda data: data[:1] + data, id="a byte too many"),
    ],
)
def test_a_wrong_byte_fails_the_measurement(workshop, forwarding, change):
    found = stream(workshop, *forwarding(change))
    assert found.returncode == 2
    assert "a byte is not what was sent" in found.stderr


@pytest.mark.parametrize("script", ["forward_streams.py", "forward_protocols.py"])
def test_the_forwarders_of_asyncio_alone_forward(workshop, tmp_path, script):
    port, target_port = free_port(), free_port()
    command = [sys.executable, str(SERVERS / script), str(port), str(target_port)]
    with serving(command, port, available_cores(), tmp_path, workshop.environment) as server:
        way = portforward.Way(workshop, server, port, target_port)
        assert way.stream(2, 0.05)["megabytes_per_s"] > 0
        assert way.connect(0.05)["connections_per_s"] > 0


def test_taphouse_is_measured_as_it_is_run(workshop):
    contestant = portforward.Entry(portforward.TAPHOUSE, portforward.CONNECTIONS)(workshop)
    with contestant.standing() as measure:
        assert measure()["connections_per_s"] > 0


def test_every_forwarder_stands_beside_ours_under_every_workload():
    entries = {portforward.named(each.forwarder, each.workload) for each in portforward.PORTFORWARD.entries}
    for comparison in portforward.PORTFORWARD.comparisons:
        assert {comparison.subject, comparison.peer} <= entries
    assert len(portforward.PORTFORWARD.comparisons) == len(portforward.PEERS) * len(portforward.MEASURES)
