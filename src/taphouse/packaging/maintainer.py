"""Maintainer scripts: what dpkg runs when a package is installed, upgraded, removed and purged.

Debian policy 6; the order of things is that of debhelper's systemd snippets.
An administrator's ``disable`` and ``mask`` survive upgrades.  Nothing is stopped
on upgrade: the old server serves until the new one is told to take over.  This
module must never know what a server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taphouse.packaging.names import check_package_name
from taphouse.value import Value

__all__ = ["Upkeep", "maintainer_scripts", "sysusers_text"]

_HEAD: Final = "#!/bin/sh\nset -e\n\n"
_LIVE: Final = '[ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]'
_UNITS_OF: Final = (".service", ".socket", ".timer")


class Upkeep(Value, kw_only=True):
    """What the scripts of a package look after.

    Args:
        package: its name.
        units: names of its units that have an ``[Install]`` section; the service of its name is one.
        python: ``3.11`` if its code runs with just that Python, "" for any Python 3 of Debian.
        account: an account of its own that stays, or "".
        version: of the package; state that a newer one has left is refused.
    """

    package: str
    units: tuple[str, ...]
    python: str = ""
    account: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        # Removing /var/lib/NAME with an empty name would remove the state of every server.
        check_package_name(self.package)
        for unit in self.units:
            if (
                not unit.startswith(self.package)
                or not unit.endswith(_UNITS_OF)
                or "'" in unit
                or " " in unit
            ):
                raise ValueError(f"{unit!r} is no unit of {self.package}")
        if f"{self.package}.service" not in self.units:
            raise ValueError(f"{self.package}.service is not among the units")


def maintainer_scripts(upkeep: Upkeep) -> dict[str, str]:
    """Return preinst, postinst, prerm and postrm."""
    return {
        "preinst": _preinst(upkeep),
        "postinst": _postinst(upkeep),
        "prerm": _prerm(upkeep),
        "postrm": _postrm(upkeep),
    }


def sysusers_text(upkeep: Upkeep) -> str:
    """Return the file that makes the account, sysusers.d(5)."""
    return f'u {upkeep.account} - "{upkeep.package} server" /var/lib/{upkeep.package} /usr/sbin/nologin\n'


def _preinst(upkeep: Upkeep) -> str:
    name = upkeep.package
    refuse = ""
    if upkeep.version:
        state = f'"${{DPKG_ROOT:-}}/var/lib/{name}/server.tap"'
        path = f"/run/{name}-downgrade"
        allowed = f'"${{DPKG_ROOT:-}}{path}"'
        refuse = f"""\
	if [ -n "$2" ] && dpkg --compare-versions "$2" gt {upkeep.version} &&
		[ -e {state} ] && [ ! -e {allowed} ]; then
		echo "{name}: version {upkeep.version} is older than $2, which has written its state" >&2
		echo "{name}: keep $2; or save the state ({name} backup), touch {path}, and try again" >&2
		exit 1
	fi
"""
    return f"""{_HEAD}case "$1" in
install|upgrade)
{refuse}\
	# Where a socket is to listen elsewhere, postinst has to know that.
	rm -rf "${{DPKG_ROOT:-}}/run/{name}-units"
	if [ "$1" = upgrade ] && {_LIVE}; then
		mkdir -m 700 /run/{name}-units
		dpkg-query -L {name} 2>/dev/null | grep '/systemd/system/[^/]*[.]socket$' | while read -r unit; do
			cp "$unit" /run/{name}-units/ 2>/dev/null || true
		done
	fi
	;;
esac

exit 0
"""


def _postinst(upkeep: Upkeep) -> str:
    name = upkeep.package
    account = ""
    if upkeep.account:
        account = f'\tsystemd-sysusers ${{DPKG_ROOT:+--root="$DPKG_ROOT"}} {name}.conf\n'
    only = f" -V {upkeep.python}" if upkeep.python else ""
    enable = "".join(
        f"""\
	deb-systemd-helper unmask {unit} >/dev/null || true
	if deb-systemd-helper --quiet was-enabled {unit}; then
		deb-systemd-helper enable {unit} >/dev/null || true
	else
		deb-systemd-helper update-state {unit} >/dev/null || true
	fi
"""
        for unit in upkeep.units
    )
    check = _check(name)
    timers = [unit for unit in upkeep.units if unit.endswith(".timer")]
    again = " ".join([f"{name}.service", *timers])
    return f"""{_HEAD}case "$1" in
configure|abort-upgrade|abort-deconfigure|abort-remove)
{account}\
	if command -v py3compile >/dev/null 2>&1; then
		py3compile -p {name} /usr/lib/{name}{only} || true
	fi
{enable}\
	if {_LIVE}; then
		systemctl --system daemon-reload >/dev/null || true
	fi
	if [ "$1" != configure ]; then
		# The server was never stopped, but by abort-remove.
		rm -rf "${{DPKG_ROOT:-}}/run/{name}-units"
		if [ "$1" = abort-remove ] && {_LIVE}; then
			deb-systemd-invoke start {_start_order(upkeep.units)} >/dev/null || true
		fi
		exit 0
	fi
	if [ -x {check} ] && ! {check} configured; then
		echo "{name}: a server that runs is left alone" >&2
		exit 1
	fi
	if {_LIVE}; then
		moved=
		for old in /run/{name}-units/*.socket; do
			unit=${{old##*/}}
			if [ -e "$old" ] && ! cmp -s "$old" "/usr/lib/systemd/system/$unit"; then
				moved="$moved $unit"
			fi
		done
		if [ -n "$moved" ]; then
			# shellcheck disable=SC2086
			deb-systemd-invoke stop $moved >/dev/null || true
		fi
		if [ -n "$2" ]; then
			# Its sockets keep listening meanwhile.
			deb-systemd-invoke restart {again} >/dev/null || true
		else
			deb-systemd-invoke start {_start_order(upkeep.units)} >/dev/null || true
		fi
	fi
	rm -rf "${{DPKG_ROOT:-}}/run/{name}-units" "${{DPKG_ROOT:-}}/run/{name}-downgrade"
	;;
triggered)
	;;
*)
	echo "postinst called with unknown argument '$1'" >&2
	exit 1
	;;
esac

exit 0
"""


def _prerm(upkeep: Upkeep) -> str:
    name = upkeep.package
    return f"""{_HEAD}if [ "$1" = remove ] && {_LIVE}; then
	deb-systemd-invoke stop {_start_order(upkeep.units)} >/dev/null || true
fi
if [ "$1" != failed-upgrade ] && command -v py3clean >/dev/null 2>&1; then
	py3clean -p {name} /usr/lib/{name} || true
fi

exit 0
"""


def _postrm(upkeep: Upkeep) -> str:
    name = upkeep.package
    # systemd remembers when a persistent timer last ran.
    stamps = [f"/var/lib/systemd/timers/stamp-{unit}" for unit in upkeep.units if unit.endswith(".timer")]
    forget = "".join(f'	rm -f "${{DPKG_ROOT:-}}{stamp}"\n' for stamp in stamps)
    check = _check(name)
    return f"""{_HEAD}case "$1" in
upgrade)
	# The new files are there, the old server runs: if they cannot go on from its state, dpkg takes them back.
	if [ -x {check} ]; then
		{check} unpacked
	fi
	;;
failed-upgrade)
	# Who failed was the other version's check, most likely.
	if [ -x {check} ]; then
		{check} unpacked >/dev/null 2>&1
	fi
	;;
remove)
	# Byte code that was written after the files were listed.
	rm -rf "${{DPKG_ROOT:-}}/usr/lib/{name}" "${{DPKG_ROOT:-}}/run/{name}-sockets"
	rm -f "${{DPKG_ROOT:-}}/run/{name}-check.log"
	if {_LIVE}; then
		systemctl --system daemon-reload >/dev/null || true
	fi
	;;
purge)
	if command -v deb-systemd-helper >/dev/null 2>&1; then
		deb-systemd-helper purge {" ".join(upkeep.units)} >/dev/null || true
	fi
{forget}	for folder in /var/lib /var/cache /var/log; do
		rm -rf "${{DPKG_ROOT:-}}$folder/private/{name}" "${{DPKG_ROOT:-}}$folder/{name}"
	done
	;;
esac

exit 0
"""


def _check(name: str) -> str:
    """Return the word that runs the script of `upgrade_check_text`."""
    return f'"${{DPKG_ROOT:-}}/usr/lib/{name}/check-upgrade"'


def _start_order(units: Sequence[str]) -> str:
    """Return units so that sockets come first.

    A socket does not start while its service runs, and one that still listens would start the service that
    is being stopped again.
    """
    return " ".join(sorted(units, key=lambda unit: not unit.endswith(".socket")))
