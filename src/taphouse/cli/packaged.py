"""What a package's own command does: `otk status` is `tap status` of the server that the package runs.

The state, the seed and the modules that may be imported are the package's; the
rest is the verb's own.  It must never leave a file of root's where the server's
own account has to write.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from taphouse.cli.options import add_run_options
from taphouse.cli.output import end_with, run_command
from taphouse.cli.parsing import Parser
from taphouse.cli.settings import state_directory
from taphouse.errors import ConfigurationError, NotPermittedError, UsageError

__all__ = ["Package", "main"]

_VERBS: Final = {
    "run": "serve in the foreground, as the unit does",
    "status": "say whether it runs, and how it is",
    "show": "show what its state holds",
    "check": "say whether the installed code can run its state",
    "check-upgrade": "say what the installed version's next start makes of its state",
    "get": "print one value of its state",
    "set": "change one value while it is stopped",
    "backup": "copy its state into the folder of backups",
    "restore": "put a backup back while it is stopped",
    "stop": "stop it; its sockets stay, and start it again",
}
_WRITING: Final = ("set", "backup", "restore")


class Package:
    """An installed package.

    Args:
        home: ``/usr/lib/PACKAGE``.
        name: of the package.
        environment: of this process.
    """

    def __init__(self, home: str, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.seed = os.path.join(home, "server.tap")
        self.folder = state_directory(environment) or f"/var/lib/{name}"
        self.state = os.path.join(self.folder, "server.tap")
        self._home = home

    def manifest(self) -> dict[str, Any]:
        """Return what the package says of itself.

        Raises:
            ConfigurationError: the package is damaged.
        """
        path = os.path.join(self._home, "manifest.json")
        try:
            with open(path, "rb") as file:
                found: dict[str, Any] = json.load(file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{path}: cannot be read: {error}", cure=f"install {self.name} again"
            ) from error
        return found

    def refuse_root(self) -> None:
        """Refuse to serve from a folder that belongs to another account, is not there or not writable."""
        cure = f"systemctl start {self.name}, or set STATE_DIRECTORY to a folder of your own"
        try:
            status = os.stat(self.folder)
        except FileNotFoundError:
            raise ConfigurationError(f"{self.folder} is not there", cure=cure) from None
        except OSError as error:
            raise NotPermittedError(f"{self.folder}: {error.strerror}", cure=cure) from error
        if os.geteuid() == 0 and status.st_uid != 0:
            raise NotPermittedError(
                f"{self.folder} belongs to user {status.st_uid}, who could not read what root writes there",
                cure=cure,
            )
        if not os.access(self.folder, os.W_OK | os.X_OK):
            if os.statvfs(self.folder).f_flag & os.ST_RDONLY:
                raise NotPermittedError(f"{self.folder} is mounted read-only", cure="mount it for writing")
            me = f"{os.geteuid()}:{os.getegid()}"
            raise NotPermittedError(
                f"{self.folder} belongs to user {status.st_uid}, and the server is user {os.geteuid()}",
                cure=f"give it what is mounted there: chown {me}, or start it as user {status.st_uid}",
            )

    def copy_state(self, folder: str) -> None:
        """Copy the state into a folder, for whom that belongs to; a server may run on it.

        Raises:
            NotPermittedError: the state is not the server's own file.
            TapError: it cannot be copied.
        """
        if not os.path.lexists(self.state):
            return
        found, owner = os.lstat(self.state), os.stat(self.folder)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, owner.st_uid):
            raise NotPermittedError(
                f"{self.state} is no file of user {owner.st_uid}", cure="put the server's state back"
            )
        from pathlib import Path

        from taphouse.persist import copy_tap_files

        copy_tap_files(Path(self.state), Path(folder))
        reader = os.stat(folder)
        for name in os.listdir(folder):
            os.chown(os.path.join(folder, name), reader.st_uid, reader.st_gid, follow_symlinks=False)

    def give_back(self) -> None:
        """Give files that root has made in the state's folder to whom that belongs."""
        if os.geteuid() != 0:
            return
        try:
            owner = os.stat(self.folder)
        except OSError:
            return
        if owner.st_uid == 0:
            return
        for _, folders, files, descriptor in os.fwalk(os.path.realpath(self.folder)):
            for name in [*folders, *files]:
                with suppress(FileNotFoundError):  # the server may be at work there
                    found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    # A second name of a file may be anywhere, and mean anything.
                    is_single = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
                    if found.st_uid == 0 and (is_single or stat.S_ISDIR(found.st_mode)):
                        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)


def main(home: str, name: str, argv: Sequence[str] | None = None) -> int:
    """Run the command of the package ``name`` in the folder ``home`` and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    package = Package(home, name, os.environ)
    code = run_command(name, lambda: _do(package, arguments))
    return end_with(code) if argv is None else code


def make_parser(package: Package) -> Parser:
    """Return the parser of what may stand before a verb."""
    name = package.name
    verbs = "\n".join(f"  {verb:<13} {summary}" for verb, summary in _VERBS.items())
    parser = Parser(
        name,
        usage=f"{name} [--version] VERB ...",
        description=f"Look after the server {name}, whose state is in {package.state}.\n\nverbs:\n{verbs}",
        epilog=f"""\
examples:
  systemctl status {name}         whether it runs, and its last messages
  {name} status                   how it is: addresses, connections, commits
  {name} show                     what it remembers
  {name} backup                   a copy into {package.folder}/backups

Each verb has its own help: {name} VERB --help.  See also {name}(8).""",
    )
    parser.add_argument("--version", action="store_true", help="show the versions and exit")
    return parser


def _do(package: Package, arguments: list[str]) -> int:
    if not arguments:
        make_parser(package).print_help(sys.stderr)
        return 64
    verb, *rest = arguments
    if verb == "run":
        return _run(package, rest)
    if verb == "check-upgrade":
        return _check_upgrade(package, rest)
    if verb in _VERBS:
        return _look_after(package, verb, rest)
    if verb == "help":
        return _do(package, [*rest[:1], "--help"])
    if not verb.startswith("-"):
        raise UsageError(f"there is no verb {verb!r:.40}", cure=f"see {package.name} --help")
    if make_parser(package).parse(arguments).version:
        told = package.manifest()
        print(f"{package.name} (application {told['application']}, taphouse {told['versions']['taphouse']})")
    return 0


def _run(package: Package, arguments: list[str]) -> int:
    parser = Parser(
        f"{package.name} run",
        usage=f"{package.name} run [options]",
        description="Serve in the foreground until SIGINT or SIGTERM, going on from its state.",
    )
    add_run_options(parser, daemon=False)
    options = parser.parse(arguments)

    from taphouse.cli.carrying.merging import merge_seed
    from taphouse.cli.settings import settings_from
    from taphouse.cli.starting.sequence import start_server

    if options.save is not False and options.state is None:
        package.refuse_root()
        options.state = package.state
    told = package.manifest()
    settings = settings_from(
        options,
        command=f"{package.name} run",
        daemon=False,
        pidfile=options.pidfile or "",
        tap=package.seed,
        run_directory=options.run_directory or package.folder,
        allow_modules=(*(options.allow_modules or ()), *told["allow_modules"]),
        installed_only=True,
        early_modules=tuple(told["modules"]),
    )
    return start_server(settings, merge=merge_seed)


def _check_upgrade(package: Package, arguments: list[str]) -> int:
    """Rehearse the next start on a copy of the state, as the unit of this name does before an upgrade.

    That unit lets the code near a copy only, which root makes: of a server that runs as somebody else.
    """
    parser = Parser(
        f"{package.name} check-upgrade",
        usage=f"{package.name} check-upgrade [options of a start]",
        description="Say what the next start of the installed version would make of the state.",
    )
    parser.add_argument("--copy", action="store_true", help="only copy the state into $RUNTIME_DIRECTORY")
    add_run_options(parser, daemon=False)
    options = parser.parse(arguments)
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    copy = os.path.join(folder, os.path.basename(package.state))
    if options.copy:
        if not folder:
            raise UsageError("--copy is for the unit, which sets RUNTIME_DIRECTORY", cure="leave it out")
        package.copy_state(folder)
        return 0
    state = copy if folder and os.path.exists(copy) else options.state or package.state
    if not os.path.lexists(state):
        print("there is no state yet: the next start begins it")
        return 0

    from taphouse.cli.inspecting.upgrading import check_upgrade
    from taphouse.cli.verbs.check import report

    findings = check_upgrade(
        state,
        package.seed,
        run_directory=os.path.dirname(state),
        allowed=(*(options.allow_modules or ()), *package.manifest()["allow_modules"]),
        drop=tuple(options.drop or ()),
        shown=package.state,
        looks_around=False,
    )
    return report(package.state, findings, "the next start would carry the state over")


def _look_after(package: Package, verb: str, arguments: list[str]) -> int:
    module = import_module(f"taphouse.cli.verbs.{verb}")
    if {"-h", "--help"} & set(arguments):
        print(f"{package.name} {verb} is tap {verb} of {package.state}.\n")
        print(module.make_parser().format_help(), end="")
        return 0
    if verb == "check":
        for name in package.manifest()["allow_modules"]:
            arguments = [*arguments, "--allow-module", name]
    try:
        done: int = module.run(_with_state(package, verb, arguments))
    finally:
        if verb in _WRITING:
            package.give_back()
    return done


def _with_state(package: Package, verb: str, arguments: list[str]) -> list[str]:
    """Return the arguments with the package's own state where the verb wants a tap."""
    names_tap = any(word.endswith(".tap") for word in arguments)
    if verb in ("show", "check") and names_tap:
        return arguments
    if verb == "restore":
        return [*arguments, package.state]
    if verb == "check":
        there = package.state if os.path.lexists(package.state) else package.seed
        return ["-d", package.folder, there, *arguments]
    if verb == "backup" and not names_tap and not {"-o", "--output"} & set(arguments):
        folder = os.path.join(package.folder, "backups")
        os.makedirs(folder, 0o700, exist_ok=True)
        package.give_back()  # a server that runs writes the copy itself, as its own account
        return [package.state, "-o", folder, *arguments]
    return [package.state, *arguments]
