"""Servers are asked, put to sleep and counted as the rows about durability need it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from bench.comparison import Comparison, Metric
from bench.contestant import BenchError, Unavailable
from bench.group import Group, measure_group
from bench.groups import GROUPS
from bench.groups.redis import WORKLOADS
from bench.process import Running
from bench.programs import Program, Stand, count_syncs, require_command, say_syncs, tracer, why_no_tracing
from bench.resp import Asked, Client, Workload, parse_csv
from bench.rivals import ALWAYS, asked, contestant, kv, redis_server
from bench.shared import Shared
from bench.workshop import HERE, Workshop

from playground import PATIENCE_S

CSV = """\
WARNING: Could not fetch server CONFIG
"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"INCR","5044.14","9.076","0.600","5.007","32.623","60.991","89.407"
"""

TRACE = """\
4711 fdatasync(7)                       = 0
4712 fsync(9 <unfinished ...>
4711 fdatasync(7)                       = 0
4712 <... fsync resumed>)               = 0
4712 +++ exited with 0 +++
sync_file_range(3, 0, 0, 0)             = 0
"""


def test_the_figures_of_redis_benchmark_are_read_behind_its_warnings():
    assert parse_csv(CSV)["rps"] == 5044.14
    assert parse_csv(CSV)["p99_latency_ms"] == 60.991


@pytest.mark.parametrize(
    "text", ["", CSV.split('"INCR"', maxsplit=1)[0], CSV + '"SET","1"\n', CSV.replace("5044.14", "-")]
)
def test_output_without_the_figures_of_one_test_is_refused(text):
    with pytest.raises(BenchError, match="no figures of one test"):
        parse_csv(text)


@pytest.mark.parametrize(
    ("workload", "requests", "rounded"),
    [
        (Workload("incr"), 1234.4, 1234),
        (Workload("incr", pipeline=16), 10_000, 10_000),
        (Workload("incr", pipeline=16), 10_007, 10_000),
        (Workload("get", 16, 50, 2), 10_000, 9984),
        (Workload("incr", pipeline=16), 1, 800),
    ],
)
def test_requests_come_out_even_for_pipelines_and_generators(workload, requests, rounded):
    assert workload.rounded(requests) == rounded


def test_a_sync_is_counted_once_although_strace_may_write_two_lines():
    assert count_syncs(TRACE) == 4


def test_syncs_are_told_per_request_and_none_at_all_is_an_error():
    assert say_syncs(41, 2, 1000) == (
        "0.041 syncs per request (41 for 1000, traced apart, 2 more to tidy up afterwards)"
    )
    with pytest.raises(BenchError, match="not one sync"):
        say_syncs(0, 3, 1000)


def test_a_missing_command_is_named_with_its_package():
    with pytest.raises(Unavailable, match="no redis-nonsense: apt-get install redis-tools"):
        require_command("redis-nonsense", "redis-tools")


def test_what_is_shared_begins_with_the_first_user_and_ends_with_the_last():
    log = []

    @contextlib.contextmanager
    def make():
        log.append("begins")
        yield len(log)
        log.append("ends")

    shared = Shared(make)
    for times in (1, 2):
        with shared.stand() as first:
            with shared.stand() as second:
                assert first is second
            assert log[-1] == "begins"
        assert log == ["begins", "ends"] * times


def test_all_groups_have_names_of_their_own_and_end_in_bounded_time():
    names = [group.name for group in GROUPS]
    assert len(set(names)) == len(names)
    assert {"redis", "reads", "gate", "connections", "databases", "latency", "bigdict"} <= set(names)
    assert all(group.limit_s <= 150 for group in GROUPS)


@pytest.fixture
def counting():
    """A server of counters on a thread that answers GET with ``value``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run(value):
        def serve():
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines, contextlib.suppress(OSError):
                while lines.readline():
                    for _ in range(4):
                        lines.readline()
                    client.sendall(b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value))

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    with listener:
        yield run


def test_a_client_reads_replies_of_many_requests_at_once(counting):
    with Client(counting(b"12")) as client:
        assert client.ask((b"GET", b"k") for _ in range(7)) == [b"12"] * 7


def test_counters_that_lack_an_answered_increment_fail_the_measurement(counting, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.resp.KEYS", 20)
    found = Asked(Stand(counting(b"3"), Running(os.getpid()), tmp_path, sleeps=False))
    found.increments = 61
    with pytest.raises(BenchError, match="61 increments were answered, the counters say 60"):
        found.verify()


@pytest.mark.process
def test_a_server_that_is_not_asked_is_stopped(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.alarm(600); signal.pause()"]
    ) as process:
        try:
            stand = Stand(0, Running(process.pid), tmp_path, sleeps=True)
            with stand.awake():
                pass
            found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert found.si_status == signal.SIGSTOP
            stand.wake()
        finally:
            process.kill()


@pytest.mark.process
def test_a_traced_program_leaves_a_line_for_each_sync(tmp_path, playground):
    if (reason := why_no_tracing()) is not None:
        pytest.skip(reason)
    code = "import os; file = os.open('f', os.O_CREAT | os.O_WRONLY); [os.fsync(file) for _ in range(3)]"
    command = [*tracer(tmp_path / "syncs"), sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)
    # The tracer is no child of ours: what it wrote may come after the end of the program.
    playground.wait_until(lambda: count_syncs((tmp_path / "syncs").read_text()) == 3, "three syncs")


@pytest.mark.process
def test_the_smallest_comparison_with_redis_runs_and_counts_right(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.resp.SETTLING_REQUESTS", 50)
    monkeypatch.setattr("bench.resp.KEYS", 500)
    monkeypatch.setattr(Workshop, "environment", dict(os.environ))  # the byte code that is there already
    for command in ("redis-server", "redis-benchmark"):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}")
    workload, rate = WORKLOADS["INCR -P 16"], Metric("requests_per_s", "requests/s", "higher")

    def entry(name, program):
        def make(workshop):
            return contestant(name, Shared(lambda: asked(program(workshop))), workload, 0.01)

        return make

    group = Group(
        "smallest", "The smallest", "One pair.", 1,
        (entry("ours", kv), entry("theirs", lambda workshop: redis_server(workshop, ALWAYS))),
        (Comparison("INCR", rate, "ours", "theirs"),),
    )  # fmt: skip
    (row,) = measure_group(group, Workshop(tmp_path)).rows
    assert row.pairs == 1
    assert row.median > 0


class Answers:
    """A server on a thread: what it says to each connection, or to each request."""

    def __init__(self, greet=None, answer=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.greet, self.answer = greet, answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.greet is not None:
                    client.sendall(self.greet())
                    client.close()
                else:
                    threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with contextlib.suppress(OSError), client:
            while request := client.recv(65536):
                client.sendall(self.answer(request))


@pytest.fixture
def generator(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")

    def run(name, server, *arguments):
        program = Workshop(tmp_path).compiled(HERE / "load" / f"{name}.c")
        command = [str(program), str(server.port), *arguments]
        with contextlib.closing(server.listener):
            return subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S
            )

    return run


@pytest.mark.process
def test_connections_count_when_every_key_is_new(generator):
    keys = iter(range(10**9))
    found = generator("connect", Answers(lambda: b"%d\n" % next(keys)), "3", "0.02", "0.05")
    assert found.returncode == 0, found.stderr
    assert '"lowest": 0' in found.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"7\n", "a number was given twice"),
        (b"7", "not a number and a newline"),
        (b"x\n", "not a number and a newline"),
        (b"1" * 40, "too long"),
    ],
)
def test_a_key_that_is_wrong_or_old_fails_the_measurement(generator, said, complaint):
    found = generator("connect", Answers(lambda: said), "2", "0.02", str(PATIENCE_S))
    assert found.returncode == 2
    assert complaint in found.stderr


@pytest.mark.process
def test_an_open_load_counts_latencies_of_right_replies(generator):
    counts = {}

    def answer(request):
        replies = b""
        for line in request.split(b"\r\n"):
            if line.startswith(b"late:"):
                counts[line] = counts.get(line, 0) + 1
                replies += b":%d\r\n" % counts[line]
        return replies

    found = generator("openloop", Answers(answer=answer), "1", "500", "0.02", "0.2")
    assert found.returncode == 0, found.stderr
    assert '"requests": ' in found.stdout
    assert '"late_p99_us": ' in found.stdout


@pytest.mark.process
def test_a_count_that_stands_still_fails_the_open_load(generator):
    def answer(request):
        return b":1\r\n" * request.count(b"late:")

    found = generator("openloop", Answers(answer=answer), "1", "500", "0.02", str(PATIENCE_S))
    assert found.returncode == 2
    assert "not one more than the last" in found.stderr


def test_a_program_fills_in_its_port_and_folder(tmp_path):
    code = (
        "import socket, sys; print(open(sys.argv[2] + '/settings').read(), flush=True);"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
        "[s.accept() for _ in iter(int, 1)]"
    )
    program = Program(
        Workshop(tmp_path), (sys.executable, "-c", code, "{port}", "{folder}"), (("settings", "port {port}"),)
    )
    with program.running() as stand:
        assert (stand.folder / "output").read_text() == f"port {stand.port}\n"
