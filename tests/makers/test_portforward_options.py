"""What a forwarder is told: what contradicts itself, or leads in a circle, makes no tap."""

from __future__ import annotations

import pytest

from makers import forwards
from runtime.certificates import OTHER_KEY
from taphouse import Application
from taphouse.errors import ConfigurationError, TaphouseError, UsageError
from taphouse.makers import portforward
from taphouse.makers.portforward import Options, updateApplication


@pytest.fixture
def certificates(tmp_path):
    return forwards.Certificates(tmp_path)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"to": "localhost:0"}, "nobody can be reached at port 0"),
        ({"to": "localhost"}, "is no address such as host:port"),
        ({"to": "unix:"}, "names no path"),
        ({"to": "localhost:99999"}, "ports end at 65535"),
        ({"port": 65536}, "65535"),
        ({"connect_timeout": 0.0}, "connect"),
        ({"idle_timeout": -1.0}, "idle"),
        ({"to_insecure": True}, "--to-insecure is of no use without --to-tls"),
        ({"to_server_name": "a.test"}, "--to-server-name is of no use without --to-tls"),
        ({"to_tls": True, "to_insecure": True, "to_server_name": "a"}, "contradicts --to-insecure"),
        ({"to_tls": True, "to": "unix:/run/socket"}, "add --to-server-name NAME"),
        ({"to_tls": True, "to": ":443"}, "add --to-server-name NAME"),
        ({"certfile": "/nowhere/cert.pem"}, "cert.pem"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, complaint):
    with pytest.raises(UsageError) as refused:
        Options(**{"to": "localhost:80", **options})
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_without_a_certificate_is_refused(certificates):
    with pytest.raises(UsageError, match="--keyfile is of no use without --certfile"):
        Options(to="localhost:80", keyfile=str(certificates.keyfile))


def test_a_key_of_another_certificate_is_found_out_before_the_start(certificates):
    certificates.keyfile.write_text(OTHER_KEY)
    options = Options(
        to="localhost:80", certfile=str(certificates.certfile), keyfile=str(certificates.keyfile)
    )
    with pytest.raises(ConfigurationError, match="does not belong to certfile"):
        updateApplication(Application("forward"), options)


def test_authorities_that_are_none_are_found_out_before_the_start(certificates):
    certificates.certfile.write_text("nothing of the kind\n")
    options = Options(to="localhost:443", to_tls=True, to_cafile=str(certificates.certfile))
    with pytest.raises(TaphouseError, match="cert.pem: not a PEM file"):
        updateApplication(Application("forward"), options)


@pytest.mark.parametrize(
    ("bind", "to"),
    [
        ("127.0.0.1", "127.0.0.1:8123"),
        ("127.0.0.1", "localhost:8123"),
        ("127.0.0.1", ":8123"),
        ("127.0.0.1", "0.0.0.0:8123"),
        ("", "127.0.0.1:8123"),
        ("", "127.0.0.9:8123"),
        ("", "localhost:8123"),
        ("0.0.0.0", "localhost:8123"),
    ],
)
def test_a_forwarder_to_itself_is_refused(bind, to):
    with pytest.raises(UsageError, match="leads back to itself: port 8123 to port 8123"):
        updateApplication(Application("forward"), Options(port=8123, bind=bind, to=to))


def test_a_circle_of_several_forwarders_is_refused():
    app = Application("forward")
    updateApplication(app, Options(port=8123, to="localhost:8124"))
    updateApplication(app, Options(port=8124, to="localhost:8125"))
    with pytest.raises(UsageError, match="port 8125 to port 8123 to port 8124 to port 8125"):
        updateApplication(app, Options(port=8125, to="127.0.0.1:8123"))


@pytest.mark.parametrize("to", ["127.0.0.2:8123", "192.0.2.1:8123", "localhost:8124", "unix:/run/8123"])
def test_another_address_is_no_circle(to):
    app = Application("forward")
    updateApplication(app, Options(port=8123, to=to))
    assert len(app.listeners) == 1


def test_a_forwarder_listens_to_this_machine_alone_unless_told():
    app = Application("forward")
    updateApplication(app, Options(to="localhost:80"))
    updateApplication(app, Options(to="localhost:80", port=6667, bind=""))
    assert [listener.interface for listener in app.listeners] == ["127.0.0.1", ""]
    assert portforward.description
