"""A secret reaches a server from systemd, and is in no file of the package."""

from __future__ import annotations

import pytest
from packages import Packages

from nspawn import Machine

pytestmark = pytest.mark.soak  # a document goes the same way on the older release


def says(host: Machine, password: str) -> str:
    """Return what the store answers to a password."""
    return host.run(f"printf 'AUTH {password}\\r\\n' | nc -N 127.0.0.1 6379").stdout.strip()


def test_a_secret_is_handed_over_by_systemd_and_by_nobody_else(host: Machine, packages: Packages) -> None:
    host.install(packages.made("kv", "--password-credential", "password"))
    host.wait_until(
        lambda: "no credential 'password'" in host.journal("kv"), "what it says of a missing file"
    )
    # From where root has put it.
    host.write("/etc/credstore/kv.password", "hunter2\n")
    host.run("chmod 600 /etc/credstore/kv.password")
    host.run("systemctl reset-failed kv.service && systemctl restart kv.service")
    assert says(host, "hunter2") == "+OK"
    assert says(host, "hunter3").startswith("-WRONGPASS")
    assert "hunter2" not in host.run(f"tr '\\0' ' ' </proc/{host.main_pid('kv')}/environ").stdout
    # From another file, and from the unit itself.
    drop_in = "/etc/systemd/system/kv.service.d/secret.conf"
    host.write("/srv/secret", "hunter3\n")
    for line in ("LoadCredential=password:/srv/secret", "SetCredential=password:hunter3"):
        host.write(drop_in, f"[Service]\nLoadCredential=\n{line}\n")
        host.run("systemctl daemon-reload && systemctl restart kv.service")
        assert says(host, "hunter3") == "+OK"
        assert says(host, "hunter2").startswith("-WRONGPASS")
    assert "hunter" not in host.journal()
