"""A socket that somebody else has bound goes to the listener it is for, or is refused in one line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from bench.ports import free_port

from taphouse.errors import ConfigurationError
from taphouse.names import descriptor_name
from taphouse.runtime import bind_plan

pytestmark = pytest.mark.process


def listening(host: str = "127.0.0.1", family: int = socket.AF_INET, port: int = 0) -> socket.socket:
    sock = socket.socket(family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((host, port))
    sock.listen()
    return sock


def entry(sock: socket.socket, **more: object) -> dict[str, object]:
    host, port = sock.getsockname()[:2]
    made = {"kind": "tcp", "interface": host, "port": port, **more}
    return {"label": f"{made['kind']}:{made['interface']}:{made['port']}", **made}


def refusal(listeners: list[dict[str, object]], given: list[tuple[str, socket.socket]]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        bind_plan(listeners, given=given)
    assert all(sock.fileno() < 0 for _, sock in given), "closed"
    assert caught.value.exit_code == 78
    return caught.value.message


def test_it_goes_by_its_listeners_own_name_then_by_the_label_then_by_its_address() -> None:
    socks = [listening() for _ in range(3)]
    entries = [entry(sock) for sock in socks]
    entries[0]["name"] = "keys"
    given = [
        ("unknown", socks[2]),
        (descriptor_name(str(entries[1]["label"])), socks[1]),
        ("keys", socks[0]),
    ]
    sockets = bind_plan(entries, given=given)
    assert [bound.sockets for bound in sockets.bound] == [[sock] for sock in socks]
    assert all(not sock.getblocking() for sock in socks)
    sockets.close()


def test_one_listener_may_get_a_socket_for_each_family_and_the_rest_is_bound() -> None:
    port = free_port()
    four = listening("0.0.0.0", port=port)
    six = socket.socket(socket.AF_INET6)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.bind(("::", port))
    six.listen()
    every = {"kind": "tcp", "interface": "", "port": port, "label": f"tcp:{port}"}
    own = {"kind": "tcp", "interface": "127.0.0.1", "port": 0, "label": "tcp:127.0.0.1:0"}
    sockets = bind_plan([own, every], given=[("unknown", four), ("unknown", six)])
    assert sockets.bound[1].sockets == [four, six]
    assert sockets.bound[0].sockets[0].getsockname()[1] > 0
    sockets.close()


def test_a_port_that_the_system_chooses_takes_any_but_only_by_name() -> None:
    sock, other = listening(), listening()
    any_port = {"kind": "tcp", "interface": "127.0.0.1", "port": 0, "label": "tcp:127.0.0.1:0"}
    assert refusal([any_port], [("unknown", other)]).endswith("is for no listener of the tap")
    sockets = bind_plan([any_port], given=[("tcp-127.0.0.1-0", sock)])
    assert sockets.bound[0].sockets == [sock]
    sockets.close()


def test_a_socket_that_nobody_asked_for_is_named() -> None:
    sock, other = listening(), listening()
    port = other.getsockname()[1]
    line = refusal([entry(sock)], [("unknown", sock), ("http", other)])
    assert line == f"socket 'http' (tcp 127.0.0.1:{port}) is for no listener of the tap"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"port": 1}, "is not on port 1"),
        ({"kind": "udp"}, "is no datagram socket"),
        ({"kind": "unix", "path": "/run/x"}, "is no UNIX socket"),
        ({"interface": "127.0.0.2"}, "is not on 127.0.0.2"),
        ({"interface": ""}, "is not on all interfaces"),
    ],
)
def test_a_socket_that_is_not_what_its_name_says_is_refused(more: dict[str, object], why: str) -> None:
    sock = listening()
    assert refusal([entry(sock, name="main", **more)], [("main", sock)]).endswith(f") {why}")


def test_a_socket_that_does_not_listen_or_is_connected_is_refused() -> None:
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    assert refusal([entry(silent, name="main")], [("main", silent)]).endswith(") does not listen")
    udp, peer = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    peer.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    udp.connect(peer.getsockname())
    plan = [entry(udp, kind="udp", name="main")]
    assert refusal(plan, [("main", udp)]).endswith(") is connected already")
    peer.close()


def test_datagrams_come_through_a_socket_that_was_given() -> None:
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    sockets = bind_plan([entry(udp, kind="udp")], given=[("unknown", udp)])
    assert sockets.bound[0].sockets == [udp]
    sockets.close()


def test_a_unix_path_that_was_given_stays_when_we_go(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    plan = {"kind": "unix", "path": path, "label": f"unix:{path}"}
    wrong = sock.dup()
    assert refusal([{**plan, "path": "/else", "name": "main"}], [("main", wrong)]).endswith(
        ") is not at /else"
    )
    # A manager has no run directory, so what it binds for a relative path lies elsewhere.
    relative = bind_plan([{**plan, "path": "s", "name": "main"}], given=[("main", sock.dup())])
    relative.close()
    sockets = bind_plan([plan], given=[("unknown", sock)])
    sockets.close()
    assert os.path.exists(path)


def test_of_listeners_with_one_label_each_gets_its_own() -> None:
    socks = [listening(), listening()]
    plan = [{"kind": "tcp", "interface": "127.0.0.1", "port": 0, "label": "tcp:127.0.0.1:0"}] * 2
    sockets = bind_plan(plan, given=[("tcp-127.0.0.1-0", sock) for sock in socks])
    assert [bound.sockets for bound in sockets.bound] == [[sock] for sock in socks]
    sockets.close()
