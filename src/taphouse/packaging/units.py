"""Units: how systemd runs a server: a service, a socket for each address, a timer for backups.

systemd.service(5), systemd.socket(5), systemd.timer(5).  The sockets keep
listening while the service is restarted, so that no client is turned away.
This module must never ask whether systemd is there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taphouse.errors import UsageError
from taphouse.names import descriptor_name
from taphouse.packaging.names import account_name, check_package_name
from taphouse.packaging.paragraph import one_line
from taphouse.packaging.profiles import choose_profile, sandbox
from taphouse.packaging.upgradecheck import check_unit_name
from taphouse.value import Value, replace

__all__ = ["UnitSettings", "make_units", "settle_profile"]

_STREAMS: Final = ("tcp", "tls", "unix")


class UnitSettings(Value, kw_only=True):
    """What a plan does not say of how a server is run.

    Args:
        package: gives the units, the state's folder and the account their name.
        description: one line for ``systemctl status``.
        start: the command that serves, in the foreground; its first word is an absolute path.
        backup: the command that copies the state, or nothing for no backups.
        check: the command that says whether an upgrade can go on from the state, or nothing; it gets the
            options of a start.  With ``--copy`` it only copies the state to ``$RUNTIME_DIRECTORY``, as root.
        profile: one of ``PROFILES``.
        account: name of an account that is there; "" for one that systemd makes and forgets.
        sockets: let systemd open what the server listens on.
        allow_jit: see `sandbox`.
        options_file: a file that may set ``TAP_OPTIONS``, or "".
        credentials: secrets that systemd hands over: ``NAME`` from ``/etc/credstore/PACKAGE.NAME``.
    """

    package: str
    description: str
    start: tuple[str, ...]
    backup: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    profile: str = "auto"
    account: str = ""
    sockets: bool = True
    allow_jit: bool = False
    options_file: str = ""
    credentials: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_package_name(self.package)
        for command in (self.start, self.backup, self.check):
            if command and not command[0].startswith("/"):
                raise ValueError(f"{command[0]!r} is no absolute path")
        if self.account and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", self.account):
            raise UsageError(
                f"{self.account!r:.60} cannot name an account",
                cure="use 1 to 31 small letters, digits, '-' and '_', no digit first (--user)",
            )


def make_units(settings: UnitSettings, plan: Mapping[str, Any]) -> dict[str, str]:
    """Return units by name, the service first.

    Raises:
        UsageError: the profile would not let the server do what its plan says.
    """
    sockets = _socket_units(settings, plan) if settings.sockets else {}
    settings = settle_profile(settings, plan)
    units = {f"{settings.package}.service": _service(settings, list(sockets))}
    units.update({name: text for name, (_, _, text) in sockets.items()})
    if settings.backup:
        units[f"{settings.package}-backup.service"] = _backup_service(settings)
        units[f"{settings.package}-backup.timer"] = _backup_timer(settings)
    if settings.check:
        units[check_unit_name(settings.package)] = _check_service(settings)
    return units


def settle_profile(settings: UnitSettings, plan: Mapping[str, Any]) -> UnitSettings:
    """Return the settings with the profile that ``auto`` stands for.

    Raises:
        UsageError: the profile would not let the server do what its plan says.
    """
    sockets = _socket_units(settings, plan) if settings.sockets else {}
    opened = [label for label, _, _ in sockets.values()]
    return replace(settings, profile=choose_profile(settings.profile, plan, opened))


def _service(settings: UnitSettings, sockets: Sequence[str]) -> str:
    name = settings.package
    requires = f"Requires={' '.join(sockets)}\nAfter={' '.join(sockets)}\n" if sockets else ""
    also = f"Also={' '.join(sockets)}\n" if sockets else ""
    options, word = _options(settings)
    return f"""\
[Unit]
Description={_text(settings.description)}
Documentation=man:{name}(8)
Wants=network-online.target
After=network-online.target
{requires}StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
{options}ExecStart={_command(settings.start)}{word}
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=64 70 75 77 78
TimeoutStartSec=90
TimeoutStopSec=90
WatchdogSec=30
KillMode=mixed
LimitNOFILE=524288
SyslogIdentifier={name}

# who it is, and what is its own
{_identity(settings)}StateDirectory={name}
StateDirectoryMode=0700
RuntimeDirectory={name}
RuntimeDirectoryMode=0750
ConfigurationDirectory={name}
WorkingDirectory=%S/{name}
UMask=0077
{_credentials(settings)}
# what it may see and do: profile {settings.profile}
{sandbox(settings.profile, allow_jit=settings.allow_jit)}
[Install]
WantedBy=multi-user.target
{also}"""


def _options(settings: UnitSettings) -> tuple[str, str]:
    """Return lines that read the options file, and what stands for them in a command."""
    if not settings.options_file:
        return "", ""
    # Set before it is read from the file: systemd warns of a variable that nobody sets.
    lines = f"Environment=TAP_OPTIONS=\nEnvironmentFile=-{_path(settings.options_file)}\n"
    return lines, " $TAP_OPTIONS"


def _check_service(settings: UnitSettings) -> str:
    """Return the unit that tries a copy of the state, as nobody: the new code is not let near the state."""
    name = settings.package
    unit = check_unit_name(name).removesuffix(".service")
    options, word = _options(settings)
    return f"""\
[Unit]
Description=Check of the state of {name} before an upgrade
Documentation=man:{name}(8)
StartLimitIntervalSec=0

[Service]
Type=oneshot
{options}ExecStartPre=+{_command(settings.check)} --copy
ExecStart={_command(settings.check)}{word}
TimeoutStartSec=10min
StandardOutput=truncate:/run/{unit}.log
SyslogIdentifier={unit}

DynamicUser=yes
RuntimeDirectory={unit}
RuntimeDirectoryMode=0700
WorkingDirectory=%t/{unit}
UMask=0077
{_credentials(settings)}
{sandbox("sealed", allow_jit=settings.allow_jit)}"""


def _backup_service(settings: UnitSettings) -> str:
    name = settings.package
    return f"""\
[Unit]
Description=Backup of {name}
Documentation=man:{name}(8)
ConditionPathExists=%S/{name}/server.tap

[Service]
Type=oneshot
ExecStart={_command(settings.backup)}
TimeoutStartSec=1h
Nice=10
IOSchedulingClass=idle
SyslogIdentifier={name}-backup

# the account that the state belongs to
{_identity(settings)}StateDirectory={name} {name}/backups
StateDirectoryMode=0700
WorkingDirectory=%S/{name}
UMask=0077

{sandbox("sealed", allow_jit=settings.allow_jit)}"""


def _backup_timer(settings: UnitSettings) -> str:
    return f"""\
[Unit]
Description=Daily backup of {settings.package}
Documentation=man:{settings.package}(8)

[Timer]
OnCalendar=daily
RandomizedDelaySec=1h
Persistent=yes

[Install]
WantedBy=timers.target
"""


def _identity(settings: UnitSettings) -> str:
    if settings.account:
        return f"User={settings.account}\nGroup={settings.account}\n"
    # Named, so that the backup gets the same account as the server.
    return f"DynamicUser=yes\nUser={account_name(settings.package)}\n"


def _credentials(settings: UnitSettings) -> str:
    """Return lines that a missing file does not keep from starting: the server says better what it lacks."""
    return "".join(
        f"LoadCredential={_path(name)}:{settings.package}.{_path(name)}\n" for name in settings.credentials
    )


def _socket_units(settings: UnitSettings, plan: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Return for each listener that systemd can open: name of unit -> label, address, text."""
    can = [
        (str(entry["label"]), address, entry)
        for entry in plan.get("listeners") or ()
        if (address := _address(settings.package, entry))
    ]
    units: dict[str, tuple[str, str, str]] = {}
    for label, address, entry in can:
        name = f"{settings.package}.socket"
        if len(can) > 1:
            stem = f"{settings.package}-{re.sub(r'[^A-Za-z0-9._-]', '_', descriptor_name(label))}"[:200]
            name = f"{stem}.socket"
            number = 2
            while name in units:
                name, number = f"{stem}.{number}.socket", number + 1
        units[name] = (label, address, _socket(settings, label, address, entry))
    return units


def _address(package: str, entry: Mapping[str, Any]) -> str:
    """Return what systemd is told to listen on, "" if it cannot listen there.

    It resolves no names, and a port that it chose would be another one after each boot.
    """
    path, port = entry.get("path"), entry.get("port")
    if path is not None:
        # Not in RuntimeDirectory=, which goes away while the service is stopped.
        return str(path) if str(path).startswith("/") else f"/run/{package}-sockets/{path}"
    if not port:
        return ""
    host = str(entry.get("interface") or "")
    if not host:
        return str(port)
    if host == "localhost":
        return f"127.0.0.1:{port}"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _socket(settings: UnitSettings, label: str, address: str, entry: Mapping[str, Any]) -> str:
    is_stream = entry.get("kind") in _STREAMS
    lines = [f"{'ListenStream' if is_stream else 'ListenDatagram'}={_path(address)}"]
    lines.append(f"FileDescriptorName={descriptor_name(label)}")
    if is_stream and entry.get("backlog"):
        lines.append(f"Backlog={entry['backlog']}")
    if entry.get("path") is not None:
        lines += [f"SocketMode={_mode(entry):04o}", "RemoveOnStop=yes"]
    elif is_stream:
        lines.append("NoDelay=yes")
    lines.append(f"Service={settings.package}.service")
    listing = "\n".join(lines)
    return f"""\
[Unit]
Description={_text(settings.description)}: {_text(label)}
Documentation=man:{settings.package}(8)

[Socket]
{listing}

[Install]
WantedBy=sockets.target
"""


def _mode(entry: Mapping[str, Any]) -> int:
    """Return the permissions of a UNIX socket: those that the server would give it."""
    mode = entry.get("mode")
    return 0o666 if mode is None else int(mode)


def _text(text: str) -> str:
    """Return one line in which systemd replaces nothing, and which it does not join with the next."""
    return (one_line(text) or "a server").replace("%", "%%").rstrip("\\")


def _path(text: str) -> str:
    if one_line(text) != text or text.endswith("\\"):
        raise UsageError(f"{text!r:.200} cannot be an address in a unit", cure="choose another path")
    return text.replace("%", "%%")


def _command(words: Sequence[str]) -> str:
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    """Return a word of a command as systemd reads it: nothing is replaced in it."""
    if "\0" in word or "\n" in word:
        raise ValueError(f"{word!r} cannot stand in a unit")
    escaped = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", escaped):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'
