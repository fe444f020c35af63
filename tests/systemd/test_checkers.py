"""What Debian's own checkers say of packages: nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from packages import SHOP, Packages

from debianroots import debian_root, not_run, run_in_root
from nspawn import PATIENCE_S

# piuparts changes its root, and asks for an archive of packages only where a list of those is.
_PIUPARTS = """
    set -e
    layer=$1 root=$2; shift 2
    mount -t tmpfs -o mode=755 tmpfs "$layer"
    mkdir "$layer/up" "$layer/work" "$layer/root" "$layer/tmp"
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
    : >"$layer/root/etc/apt/sources.list"
    exec piuparts --tmpdir "$layer/tmp" --existing-chroot "$layer/root" --keep-sources-list "$@"
"""


def test_piuparts_finds_nothing_left_after_install_and_purge(
    suite: str, packages: Packages, tmp_path: Path
) -> None:
    if not shutil.which("piuparts", path="/usr/sbin:/usr/bin"):
        not_run("there is no piuparts: apt-get install piuparts")
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", _PIUPARTS, "sh", str(tmp_path), str(debian_root(suite))),
            *("--distribution", suite, "--no-eatmydata", "--no-upgrade-test"),
            *("--no-symlinks", str(packages.otk())),  # those of the system itself lead nowhere
        ],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
    )
    lines = done.stdout.splitlines()
    print("\n".join(line for line in lines if "PASS" in line or "WARN" in line))
    assert done.returncode == 0, done.stdout[-5000:]
    assert any(line.endswith("PASS: Installation and purging test.") for line in lines)
    assert not [line for line in lines if "WARN" in line or "FAIL" in line]


@pytest.mark.soak
def test_lintian_of_the_newer_debian_has_nothing_to_say(suite: str, packages: Packages) -> None:
    root = debian_root("trixie-lintian")
    made = [packages.otk(), packages.made("kv"), packages.tally("1.0", "--user", "_tally")]
    if suite == "trixie":
        made.append(packages.made("web", "--app", "shop:app", source=SHOP))
    version = run_in_root(root, root / "srv", "lintian", "--version").stdout.strip()
    for package in made:
        command = ("lintian", "--pedantic", "--fail-on", "error,warning,pedantic", "--info", package.name)
        done = run_in_root(root, package.parent, *command)
        print(f"{version}: {package.name} for {suite}: {done.stdout.strip() or 'nothing to complain of'}")
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
