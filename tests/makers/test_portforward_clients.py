"""A forwarder as it is run, between programs that know nothing of it: nc, openssl, and servers that die."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from makers import forwards
from playground import PATIENCE_S

pytestmark = pytest.mark.process


@pytest.fixture
def certificates(playground):
    return forwards.Certificates(playground.folder)


def start_forwarder(playground, *options):
    """Forward 8123 to 8124, which has a minute to be connected: it is late only where the machine is."""
    there = ("--port", "8123", "--to", "127.0.0.1:8124", "--connect-timeout", "1m")
    playground.run("mktap", "portforward", *there, *options)
    playground.run("twistd", "-f", "portforward.tap")


def is_listened_on(port):
    """Say whether somebody listens there, without connecting: a server for one client would be used up."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


def wait_listened_on(playground, written):
    playground.wait_until(lambda: is_listened_on(playground.port(written)), f"a listener on {written}")


@contextmanager
def talking(playground, *command):
    """Run a program whose input and output are pipes."""
    with subprocess.Popen(
        [playground.with_free_ports(word) for word in command],
        cwd=playground.folder,
        env=playground.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def counted(playground):
    """Return what `tap show` says was counted."""
    shown = playground.run("tap", "show", "portforward-shutdown.tap").stdout
    names = ("forwarded", "failed", "to_target_bytes", "to_client_bytes")
    return {name: int(re.search(rf"^ +{name} +(\d+)$", shown, re.MULTILINE)[1]) for name in names}


def test_nc_talks_to_nc_in_both_directions(playground):
    start_forwarder(playground)
    target = playground.start("bash", "-c", "echo answer | nc -N -l 127.0.0.1 8124 >asked")
    wait_listened_on(playground, 8124)
    assert playground.run("nc", "-N", "127.0.0.1", "8123", stdin="question\n").stdout == "answer\n"
    assert target.wait(PATIENCE_S) == 0
    assert playground.read("asked") == "question\n"


def test_nc_hears_an_answer_that_is_given_when_it_has_said_all(playground):
    start_forwarder(playground)
    with (
        socket.create_server(("127.0.0.1", playground.port(8124))) as listener,
        talking(playground, "nc", "-N", "127.0.0.1", "8123") as client,
    ):
        listener.settimeout(PATIENCE_S)
        client.stdin.write(b"3\n1\n2\n")
        client.stdin.close()
        target, _ = listener.accept()
        with target:
            asked = target.makefile("rb").read()
            target.sendall(b"".join(sorted(asked.splitlines(keepends=True))))
        assert client.stdout.read() == b"1\n2\n3\n"


def test_openssl_speaks_tls_to_the_forwarder(playground, certificates):
    start_forwarder(playground, "--certfile", "cert.pem", "--keyfile", "key.pem")
    # It answers when it was asked: openssl ends with the answer, and a question might still be its own then.
    answers = '{ read -r line; echo "$line" >asked; echo answer; }'
    target = playground.start("bash", "-c", f"mkfifo back; nc -N -l 127.0.0.1 8124 <back | {answers} >back")
    wait_listened_on(playground, 8124)
    command = "openssl s_client -quiet -verify_return_error -CAfile cert.pem -servername localhost"
    with talking(playground, *command.split(), "-connect", "127.0.0.1:8123") as client:
        client.stdin.write(b"question\n")
        client.stdin.flush()
        assert client.stdout.read() == b"answer\n"
    assert target.wait(PATIENCE_S) == 0
    assert playground.read("asked") == "question\n"


def test_the_forwarder_speaks_tls_to_openssl(playground, certificates):
    options = ["--to-tls", "--to-cafile", "cert.pem", "--to-server-name", "localhost"]
    start_forwarder(playground, *options)
    command = "openssl s_server -rev -quiet -cert cert.pem -key key.pem -accept 127.0.0.1:8124"
    playground.start(*command.split(" "))
    wait_listened_on(playground, 8124)
    with talking(playground, "nc", "127.0.0.1", "8123") as client:
        client.stdin.write(b"question\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"noitseuq\n"


# --- size and number ----------------------------------------------------------------------------


def peak_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def test_a_reader_that_is_slow_costs_no_memory(playground):
    """64 MB, of which nothing is read until the sender is stuck; then everything is right."""
    size = 64_000_000
    said = random.Random(64).randbytes(size)
    start_forwarder(playground)
    with socket.create_server(("127.0.0.1", playground.port(8124))) as listener:
        client = socket.create_connection(("127.0.0.1", playground.port(8123)), timeout=PATIENCE_S)
        target, _ = listener.accept()
        target.settimeout(PATIENCE_S)
        with client, target:
            before = peak_bytes(playground.pid())
            client.setblocking(False)
            sent = fill(client, said)
            assert sent < size / 2, "the sender was never held up"
            client.setblocking(True)
            sender = threading.Thread(target=client.sendall, args=[memoryview(said)[sent:]])
            sender.start()
            digest, heard = hashlib.sha256(), 0
            while heard < size:
                data = target.recv(65536)
                assert data
                digest.update(data)
                heard += len(data)
            sender.join()
            assert digest.digest() == hashlib.sha256(said).digest()
            assert peak_bytes(playground.pid()) - before < 8_000_000


def fill(client, said):
    """Send until nothing moves any more: neither here nor in the forwarder, which moves what it can."""
    sent, waited, never = 0, 0, threading.Event()
    while waited < 20 and sent < len(said):
        try:
            sent += client.send(memoryview(said)[sent : sent + 1_000_000])
            waited = 0
        except BlockingIOError:
            never.wait(0.01)
            waited += 1
    return sent


def test_many_clients_are_forwarded_at_once(playground):
    start_forwarder(playground)
    number = 300

    async def talk(client):
        said = random.Random(client).randbytes(20_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", playground.port(8123))
        everybody.release()
        await all_are_in.wait()
        writer.write(said)
        writer.write_eof()
        heard = await reader.read()
        writer.close()
        await writer.wait_closed()
        return heard == said

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main():
        async with asyncio.timeout(4 * PATIENCE_S):
            server = await asyncio.start_server(echo, "127.0.0.1", playground.port(8124), backlog=number)
            clients = [asyncio.ensure_future(talk(client)) for client in range(number)]
            for _ in clients:
                await everybody.acquire()
            all_are_in.set()
            found = await asyncio.gather(*clients)
            server.close()
            return found

    everybody, all_are_in = asyncio.Semaphore(0), asyncio.Event()
    assert asyncio.run(main()) == [True] * number
    playground.wait_until(lambda: counted(playground)["to_client_bytes"] == number * 20_000, "all bytes")
    assert counted(playground) == {
        "forwarded": number,
        "failed": 0,
        "to_target_bytes": number * 20_000,
        "to_client_bytes": number * 20_000,
    }


# --- deaths -------------------------------------------------------------------------------------


def ask_once(playground, answer):
    """Let a server with one answer be there for one client, and return what the client gets."""
    with socket.create_server(("127.0.0.1", playground.port(8124))) as listener:
        listener.settimeout(PATIENCE_S)
        client = socket.create_connection(("127.0.0.1", playground.port(8123)), timeout=PATIENCE_S)
        with client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            target, _ = listener.accept()
            with target:
                while target.recv(100):
                    pass
                target.sendall(answer)
            heard = b""
            while more := client.recv(100):
                heard += more
            return heard


def test_a_target_may_die_and_come_back(playground):
    start_forwarder(playground)
    for round_number in range(3):
        with pytest.raises(ConnectionResetError):
            playground.ask(8123)
        answer = b"answer %d" % round_number
        assert ask_once(playground, answer) == answer
    playground.wait_until(lambda: says_why(playground), "a line of the log")


def says_why(playground):
    """Say whether the log has the reason by now: it is written aside, and a client is told before."""
    log = playground.read("twistd.log")
    return re.search(r"1 client turned away: 127\.0\.0\.1:\d+: Connection refused", log)


def logged(playground):
    return playground.read("twistd.log").count(" s: 8 bytes there, 6 bytes back")


def test_what_was_counted_is_there_after_kill_9(playground):
    start_forwarder(playground)
    for _ in range(3):
        ask_once(playground, b"answer")
    expected = {"forwarded": 3, "failed": 0, "to_target_bytes": 24, "to_client_bytes": 18}
    playground.wait_until(lambda: counted(playground) == expected, "the sums of a second")
    playground.wait_until(lambda: logged(playground) == 3, "the lines of all that ended")
    playground.kill(signal.SIGKILL)
    assert counted(playground) == expected
    playground.run("twistd", "-f", "portforward-shutdown.tap")
    ask_once(playground, b"answer")
    playground.kill()  # in order: nothing of the last second is lost
    assert counted(playground) == {name: count // 3 * 4 for name, count in expected.items()}
    assert logged(playground) == 4


# --- what it is told ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--to"),
        (["--to", "nonsense"], "nonsense"),
        (["--to", "localhost:8124", "--to-insecure"], "--to-tls"),
        (["--to", "localhost:8124", "--keyfile", "key.pem"], "--certfile"),
        (["--to", "localhost:8124", "--certfile", "nowhere.pem"], "nowhere.pem"),
        (["--to", "localhost:8123"], "leads back to itself"),
        (["--to", "localhost:8124", "--idle-timeout", "soon"], "--idle-timeout"),
    ],
)
def test_mktap_says_in_one_line_what_is_wrong_and_writes_nothing(
    playground, certificates, options, complaint
):
    done = playground.run("mktap", "portforward", "--port", "8123", *options, status=64)
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert playground.files() == {"cert.pem", "key.pem"}
