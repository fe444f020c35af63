"""The check before an upgrade: a script of the new version that says whether it can go on from the state.

The maintainer scripts of both versions run it: when the new files are unpacked
and the old server still runs, and before the restart.  Its answer is that of a
unit, which tries a copy of the state in a sandbox.  This module must never know
what a state is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["check_unit_name", "upgrade_check_text"]

_WAITS = """\
has() {{
	[ "$(dpkg-query -W -f '${{db:Status-Status}}' "$1" 2>/dev/null)" = installed ] || return 1
	[ -z "${{2:-}}" ] || dpkg --compare-versions "$(dpkg-query -W -f '${{Version}}' "$1")" "$2" "$3"
}}

if [ "$1" = unpacked ]; then
	# What it depends on may still come; then it is asked again when it is configured.
{conditions}\
fi

"""


def check_unit_name(package: str) -> str:
    """Return the name of the unit that tries the state."""
    return f"{package}-check.service"


def upgrade_check_text(package: str, depends: Sequence[str]) -> str:
    """Return the script ``/usr/lib/PACKAGE/check-upgrade``.

    Args:
        package: its name.
        depends: its relations; before they are satisfied nothing can be tried.
    """
    conditions = "".join(f"\t{line} || exit 0\n" for line in _conditions(depends))
    unit, log = check_unit_name(package), f"/run/{package}-check.log"
    waits = _WAITS.format(conditions=conditions) if conditions else ""
    return f"""\
#!/bin/sh
# Says whether this version of {package} can go on from the state that is there: 0 if it can.
# Called with "unpacked" while the old version serves and this one is not configured yet, or "configured".
set -e

if [ -n "${{DPKG_ROOT:-}}" ] || [ ! -d /run/systemd/system ] || [ ! -e /var/lib/{package}/server.tap ]; then
	exit 0
fi

{waits}\
rm -f {log}
systemctl --system daemon-reload >/dev/null 2>&1 || true
if systemctl --system start {unit} >/dev/null 2>&1; then
	exit 0
fi
if [ "$(systemctl show --value -p LoadState {unit})" = masked ]; then
	echo "{package}: {unit} is masked, so nobody knows whether the state can be carried over" >&2
	exit 0
fi
status=$(systemctl show --value -p ExecMainStatus {unit})
systemctl --system reset-failed {unit} >/dev/null 2>&1 || true
if [ "$1" = unpacked ] && {{ [ "${{status:-0}}" -lt 64 ] || [ "$status" -gt 78 ]; }}; then
	# It did not come to an answer.
	exit 0
fi
grep -s -v -e '^ok: ' -e '^problem: ' {log} >&2 || echo "{package}: {unit} failed with status $status" >&2
echo "{package}: this version cannot go on from the state in /var/lib/{package}; {log} has the details" >&2
if grep -qs -e ' --[a-z]' {log}; then
	echo "{package}: options of its start go into TAP_OPTIONS in /etc/{package}/{package}.conf" >&2
fi
exit 1
"""


def _conditions(depends: Sequence[str]) -> Iterator[str]:
    """Yield a condition in the language of the shell for each relation, Debian policy 7.1."""
    operators = {"<<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">>": "gt"}
    for relation in depends:
        words = []
        for alternative in relation.split("|"):
            found = re.fullmatch(
                r"\s*([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*([A-Za-z0-9.+:~-]+)\s*\))?\s*",
                alternative,
            )
            if found is None:
                raise ValueError(f"{relation!r} is no relation")
            name, operator, version = found.groups()
            words.append(f"has {name}" + (f" {operators[operator]} {version}" if operator else ""))
        yield words[0] if len(words) == 1 else "{ " + " || ".join(words) + "; }"
