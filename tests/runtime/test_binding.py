"""Binding listens or refuses in one line that names the port."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest
from bench.ports import free_port
from certificates import ENCRYPTED_KEY, OTHER_KEY

from playground import PATIENCE_S
from taphouse.errors import AddressError, ConfigurationError, NotPermittedError
from taphouse.runtime import Sockets, bind_listener, bind_plan, binding, holders
from taphouse.runtime.holders import describe_port_holder

pytestmark = pytest.mark.process


def tcp(port=0, interface="127.0.0.1", **more):
    return {"kind": "tcp", "interface": interface, "port": port, "label": f"tcp:{port}", **more}


def test_port_0_is_the_same_port_in_both_families():
    sockets = bind_plan([tcp(interface="")])
    addresses = sockets.addresses()["tcp:0"]
    assert len({address[1] for address in addresses}) == 1
    assert "0.0.0.0" in {address[0] for address in addresses}
    if len(addresses) == 2:
        v6 = next(s for s in sockets.bound[0].sockets if s.family == socket.AF_INET6)
        assert v6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    sockets.close()


def test_who_connects_before_anybody_accepts_waits_in_the_backlog():
    sockets = bind_plan([tcp()])
    port = sockets.addresses()["tcp:0"][0][1]
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    client.close()
    sockets.close()


def test_a_busy_port_is_named_with_the_process_that_holds_it():
    port = free_port()  # at no address anybody else's, who would be named as well as we
    with socket.create_server(("127.0.0.1", port)), pytest.raises(AddressError) as caught:
        bind_listener(tcp(port))
    text = str(caught.value)
    assert text.startswith(f"port {port} on 127.0.0.1: address already in use by pid {os.getpid()} (")
    assert "\n" not in text


def test_a_holder_is_named_though_others_of_its_descriptors_are_closed_meanwhile(monkeypatch):
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: ["1000000", *listdir(folder)])
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert f"by pid {os.getpid()} (" in describe_port_holder("tcp", taken.getsockname()[1])


def test_a_holder_is_named_though_a_list_left_its_line_out(monkeypatch):
    read, seen = holders._rows, []

    def incomplete(name):
        seen.append(name)
        return read(name) if seen.count(name) > 1 else []

    monkeypatch.setattr(holders, "_rows", incomplete)
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert f"by pid {os.getpid()} (" in describe_port_holder("tcp", taken.getsockname()[1])


def test_a_busy_udp_port_is_refused_and_not_shared():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(
            AddressError, match=rf"port {port} on 127.0.0.1 \(udp\): address already in use by"
        ):
            bind_listener({"kind": "udp", "interface": "127.0.0.1", "port": port})


def test_a_reserved_port_says_what_it_needs(monkeypatch):
    class Forbidden(socket.socket):
        def bind(self, address):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(binding.socket, "socket", Forbidden)
    with pytest.raises(NotPermittedError, match="port 80 needs root or CAP_NET_BIND_SERVICE"):
        bind_listener(tcp(80, interface=""))


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(AddressError, match=r"port 0 on 192.0.2.1: not an address of this machine"):
        bind_listener(tcp(interface="192.0.2.1"))


def test_an_interface_that_is_no_address_is_refused():
    with pytest.raises(AddressError, match="interface no such place"):
        bind_listener(tcp(interface="no such place"))


def test_a_plan_is_bound_whole_or_not_at_all():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = free_port()
        with pytest.raises(AddressError):
            bind_plan([tcp(port), tcp(taken.getsockname()[1])])
    socket.create_server(("127.0.0.1", port)).close()  # it is free again


def test_a_listener_finds_its_own_sockets_among_two_on_port_0():
    sockets = bind_plan([tcp(), tcp()])
    first, second = (entry.addresses() for entry in sockets.bound)
    key = ("tcp", "127.0.0.1", 0, "")
    taken = [sockets.take(key), sockets.take(key), sockets.take(key)]
    assert [bound and bound.addresses() for bound in taken] == [first, second, None]
    for bound in taken[:2]:
        bound.close()


def test_inherited_sockets_are_used_as_they_are():
    inherited = socket.create_server(("127.0.0.1", 0))
    sockets = bind_plan([tcp()], given=[("tcp-0", inherited)])
    assert sockets.bound[0].sockets == [inherited]
    sockets.close()
    assert inherited.fileno() == -1


def test_nothing_waits_in_sockets_that_were_never_bound():
    assert Sockets().take(("tcp", "", 0, "")) is None


def unix(path, **more):
    return {"kind": "unix", "path": str(path), **more}


def test_a_unix_path_has_exactly_the_mode_asked_for(tmp_path):
    before = os.umask(0o077)
    try:
        bound = bind_listener(unix(tmp_path / "s", mode=0o660))
        assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o660
        bound.close()
    finally:
        os.umask(before)
    assert not (tmp_path / "s").exists()


def test_a_unix_path_is_not_open_to_more_for_a_moment(tmp_path, monkeypatch):
    before_chmod = []
    real = os.chmod

    def looking(path, mode):
        before_chmod.append(stat.S_IMODE(os.stat(path).st_mode))
        real(path, mode)

    monkeypatch.setattr(os, "chmod", looking)
    before = os.umask(0)
    try:
        bind_listener(unix(tmp_path / "s", mode=0o600)).close()
    finally:
        os.umask(before)
    assert before_chmod == [0o600]


def test_a_stale_unix_path_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "s"))
    bound = bind_listener(unix(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    bound.close()


def test_a_unix_path_somebody_listens_on_is_refused_and_left_alone(tmp_path):
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(tmp_path / "s"))
        alive.listen()
        with pytest.raises(AddressError, match=rf"s: address already in use by pid {os.getpid()}"):
            bind_listener(unix(tmp_path / "s"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))


def test_a_unix_path_whose_backlog_is_full_is_alive(tmp_path):
    with socket.socket(socket.AF_UNIX) as alive, socket.socket(socket.AF_UNIX) as waiting:
        alive.bind(str(tmp_path / "s"))
        alive.listen(0)
        waiting.connect(str(tmp_path / "s"))
        with pytest.raises(AddressError, match="address already in use"):
            bind_listener(unix(tmp_path / "s"))


def test_a_file_in_the_way_is_refused_and_left_alone(tmp_path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(AddressError, match="exists and is not a socket"):
        bind_listener(unix(tmp_path / "s"))
    assert (tmp_path / "s").read_text() == "precious"


def test_a_unix_path_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(AddressError, match="too long"):
        bind_listener(unix(tmp_path / ("x" * 200)))


def test_a_unix_path_in_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AddressError, match=r"nowhere/s: No such file or directory"):
        bind_listener(unix(tmp_path / "nowhere" / "s"))


def test_closing_leaves_a_path_alone_that_is_not_ours_any_more(tmp_path):
    bound = bind_listener(unix(tmp_path / "s"))
    (tmp_path / "s").unlink()
    (tmp_path / "s").write_text("another's")
    bound.close()
    assert (tmp_path / "s").read_text() == "another's"


def tls(certfile, keyfile):
    return {"kind": "tls", "interface": "127.0.0.1", "port": 0, "certfile": certfile, "keyfile": keyfile}


def test_a_tls_listener_has_its_context_before_anything_runs(certfile, keyfile):
    bound = bind_listener(tls(certfile, keyfile))
    assert bound.tls is not None
    bound.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"keyfile .*other.pem: No such file"),
        (OTHER_KEY, r"keyfile .*other.pem: does not belong to certfile .*cert.pem"),
        (ENCRYPTED_KEY, r"keyfile .*other.pem: the key is encrypted"),
        ("rubbish", r"keyfile .*other.pem: no certificate with its key"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(certfile, tmp_path, text, message):
    if text is not None:
        (tmp_path / "other.pem").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        bind_listener(tls(certfile, str(tmp_path / "other.pem")))
    assert "\n" not in str(caught.value)


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="is not known"):
        bind_listener({"kind": "sctp", "port": 1})


def test_a_port_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="port 70000 does not exist"):
        bind_listener(tcp(70000))
