"""Man page: what an administrator finds under ``man PACKAGE``, from the plan of its tap.

This module must never read a tap itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taphouse.packaging.about import About
from taphouse.packaging.paragraph import one_line, split_paragraphs

__all__ = ["conffile_text", "man_page"]

_VOLUME: Final = '"System Manager\'s Manual"'


def conffile_text(package: str) -> str:
    """Return the file in /etc that an administrator may edit: the same in every version.

    A file of theirs that had changed on both sides would stop every upgrade with a question.
    """
    return f'# {package}(8): options of the server, for example  TAP_OPTIONS="--log-level debug"\n'


def man_page(about: About, plan: Mapping[str, Any], units: Sequence[str]) -> str:
    """Return a manual page, section 8, as man(7) has it.

    Args:
        about: the package.
        plan: of the tap.
        units: names of the units that are installed, the service first.
    """
    name, service = about.name, units[0]
    made = time.strftime("%Y-%m-%d", time.gmtime(about.epoch))
    synopsis = one_line(about.synopsis).rstrip(".") or "server that was built from a tap"
    lines = [
        f".TH {_quoted(name.upper())} 8 {made} {_quoted(f'{name} {about.version}')} {_VOLUME}",
        ".SH NAME",
        f"{_plain(name)} \\- {_plain(synopsis)}",
        ".SH SYNOPSIS",
        f".B systemctl\nstart|stop|status\n.B {_plain(service)}",
        f".PP\n.B {_plain(name)}\nVERB ...",
        ".SH DESCRIPTION",
    ]
    for paragraph in split_paragraphs(about.description):
        lines += [_plain(paragraph), ".PP"]
    lines += [
        f"{_plain(name)} is a server that remembers: what it knows is saved before its clients are told,",
        "and each start goes on from there, after a crash and after an upgrade too.",
        *_addresses(plan),
        ".SH COMMANDS",
        *_tagged(
            (f"systemctl status {service}", "whether it runs, and its last messages"),
            (f"journalctl -u {service}", "all of its messages"),
            (f"{name} status", "how it is: addresses, connections, commits"),
            (f"{name} show", "what it remembers"),
            (f"{name} backup", f"copy its state into /var/lib/{name}/backups, as a timer does each day"),
            (f"{name} restore FILE", "put such a copy back, while its sockets and the service are stopped"),
            (f"{name} --help", "the other verbs"),
            (f"systemctl edit {service}", "change how it is run, in a file that upgrades leave alone"),
            (f"systemctl disable --now {' '.join(units)}", "stop it, and do not start it again"),
            (f"apt-get remove {name}", "remove the program; its state stays"),
            (f"apt-get purge {name}", "remove everything, its state and backups too"),
        ),
        ".SH FILES",
        *_tagged(
            (f"/etc/{name}/{name}.conf", "TAP_OPTIONS, further options of the server; read when it starts"),
            (f"/usr/lib/{name}/server.tap", "what the server begins with, when it has no state yet"),
            (f"/var/lib/{name}/server.tap", "its state"),
            (f"/var/lib/{name}/backups", "copies of it, the last seven days'"),
            (f"/run/{name}-check.log", "whether the last new version could go on from the state"),
            (f"/usr/lib/{name}/sbom.json", "the parts that it is made of"),
        ),
        ".SH EXIT STATUS",
        "Those of sysexits(3): 64 for an option that does not exist, 69 for an address that is in use,",
        "75 if it runs already, 77 for what it is not allowed, 78 for a tap that the code cannot run.",
        ".SH SEE ALSO",
        ".BR systemctl (1),",
        ".BR journalctl (1)",
    ]
    return "\n".join(lines) + "\n"


def _addresses(plan: Mapping[str, Any]) -> list[str]:
    lines = []
    for title, key, word in (
        ("LISTENS ON", "listeners", "served by"),
        ("CONNECTS TO", "connectors", "used by"),
    ):
        rows = [
            (str(entry["label"]), f"{word} {entry['factory']}" if entry.get("factory") else "")
            for entry in plan.get(key) or ()
        ]
        if rows:
            lines += [f".SH {title}", *_tagged(*rows)]
    return lines


def _tagged(*rows: tuple[str, str]) -> list[str]:
    return [line for word, text in rows for line in (".TP", f".B {_plain(word)}", _plain(text) or "\\&")]


def _plain(text: str) -> str:
    """Return text that roff prints as it is."""
    text = one_line(text).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _quoted(text: str) -> str:
    return '"' + _plain(text).replace('"', "") + '"'
