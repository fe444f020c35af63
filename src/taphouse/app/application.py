"""Application: the root of everything that is declared.

A value: it opens nothing, and runs only when one of its verbs is said; those
are somebody else's work, see :mod:`taphouse.app.verbtable`.  It must not know that
it can be saved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from taphouse.app.durability import check_durability
from taphouse.app.endpoints import Endpoints
from taphouse.app.schedule import DelayedCall, PeriodicCall, ScheduledCall, make_call
from taphouse.app.service import Service, ServiceCollection
from taphouse.app.verbtable import verbs
from taphouse.names import check_application_name

__all__ = ["Application"]


class Application(Endpoints, ServiceCollection, config=("name", "uid", "gid", "durability")):
    """What listens, what serves and what is remembered, under one name.

    Args:
        name: ``[A-Za-z0-9][A-Za-z0-9._-]{0,63}``; it becomes file names.
        uid: user to run as, by name or number (0 is a number like any other); ``None`` is no change.
        gid: group to run as, by name or number; ``None`` is the user's own.
        durability: ``"gate"``: output waits until what it depends on is on disk; ``"interval"``: changes are
            on disk within a second, output does not wait; ``"exit"``: they are saved at an orderly stop.

    Raises:
        ConfigurationError: if the name is not allowed.
        TypeError, ValueError: if ``uid`` or ``gid`` is neither a name nor a number.
        ValueError: if there is no such durability.
    """

    durability: str = "gate"
    """When changes are committed; may be assigned, and counts from the next start.  Taps of a time when there
    was only one have none of their own: theirs is this one."""

    def __init__(
        self,
        name: str,
        uid: int | str | None = None,
        gid: int | str | None = None,
        *,
        durability: str = "gate",
    ) -> None:
        self.name = check_application_name(name)
        self.uid = check_account(uid, "uid")
        self.gid = check_account(gid, "gid")
        self.durability = durability
        self.listeners = []
        self.connectors = []
        self.services = {}
        self.schedule: dict[int, ScheduledCall] = {}
        """number -> delayed or periodic call."""
        self.calls_made = 0
        self.authorizer: Any = None
        """Who may do what; any durable object the services agree on."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "durability":
            super().__setattr__(name, value)
            return
        super().__setattr__(name, check_durability(value))
        if self._v_runtime is not None:
            self._v_runtime.plan_changed()

    def addDelayed(self, seconds: float, method: Callable[..., Any], *args: Any) -> DelayedCall:
        """Call ``method(*args)`` once, ``seconds`` from now; it survives restarts.

        On an application that never ran, "now" is its first start.  A call that
        became due while the server was down is made after the next start.

        Args:
            seconds: from 0.
            method: a bound method of a durable object, or a module-level function; may be a coroutine.
            args: durable values.

        Returns:
            A handle with ``cancel()``.

        Raises:
            TypeError, ValueError: if it could not be found again after a restart, or never be due.
        """
        return cast(DelayedCall, self._add_call(DelayedCall, seconds, method, args))

    def addPeriodic(self, seconds: float, method: Callable[..., Any], *args: Any) -> PeriodicCall:
        """Call ``method(*args)`` every ``seconds`` (above 0); missed periods are skipped.

        Otherwise like :meth:`addDelayed`.  An exception of the call is logged and ends it.
        """
        return cast(PeriodicCall, self._add_call(PeriodicCall, seconds, method, args))

    def _add_call(
        self, kind: type[ScheduledCall], seconds: float, method: Callable[..., Any], args: tuple[Any, ...]
    ) -> ScheduledCall:
        number = self.calls_made + 1
        call = make_call(kind, self.schedule, number, seconds, method, args)
        self.calls_made = number
        if self._v_runtime is not None:
            self._v_runtime.schedule_changed()
        return call

    def service_was_added(self, service: Service) -> None:
        """Start the service if the application is running."""
        if self._v_runtime is not None:
            self._v_runtime.service_added(service)

    def service_was_removed(self, service: Service) -> None:
        """Stop the service if the application is running."""
        if self._v_runtime is not None:
            self._v_runtime.service_removed(service)

    @property
    def is_running(self) -> bool:
        """Whether a runtime is at work on it."""
        return self._v_runtime is not None

    def statistics(self) -> Any:
        """Return the numbers of this moment: connections, commits, what is held back, what lies on disk.

        Returns:
            A `taphouse.runtime.RuntimeStatistics`.

        Raises:
            RuntimeError: if it does not run.
        """
        if self._v_runtime is None:
            raise RuntimeError(f"application {self.name} does not run; there are statistics while it does")
        return self._v_runtime.statistics()

    def save(self, tag: str | None = None, filename: str | None = None) -> str | None:
        """Freeze into a tap, ``<name>-<tag>.tap`` in the current directory.

        Args:
            tag: such as ``"start"``; ``None`` is ``<name>.tap``.
            filename: used as it is, instead.

        Returns:
            The file's name; ``None`` where a tap is being thawed (a script without a
            main guard saves nothing then).

        Raises:
            NotDurableError: if something cannot be saved; the message begins with its path.
        """
        return verbs.save(self, tag, filename)

    def run(self) -> None:
        """Run in the foreground until SIGINT or SIGTERM, remembering in ``<name>-shutdown.tap``.

        Does nothing where a tap is being thawed or this script is being run by a command.
        """
        verbs.run(self)

    def running(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Run inside of somebody else's loop: ``async with app.running() as server``.

        No signal handlers, no pidfile; ``server.addresses`` says where it listens.

        Args:
            options: ``save=False`` remembers nothing and opens no file; ``state`` and ``run_directory``
                say where the state lies, ``fresh=True`` sets it aside, ``drop`` names stored objects to
                forget; ``durability`` overrides the application's own; limits such as ``drain_s=1.0``.

        Raises:
            TypeError: for an option that does not exist.
            ValueError: for a durability that does not exist, or one together with ``save=False``.
            TaphouseError: if the start fails.
        """
        return verbs.running(self, **options)

    async def serve(self, **options: Any) -> None:
        """Run inside of somebody else's loop until cancelled; options as for :meth:`running`."""
        await verbs.serve(self, **options)

    def __repr__(self) -> str:
        return f"<Application {self.name}>"


def check_account(account: object, what: str) -> int | str | None:
    """Return ``account`` if it may be a user or group: a name, a number, or ``None``.

    Args:
        what: how a message calls it.
    """
    if account is None:
        return None
    if isinstance(account, bool) or not isinstance(account, int | str):
        raise TypeError(f"{what} must be a name or a number, got {account!r:.80}")
    if isinstance(account, int) and not 0 <= account < 2**32 - 1:
        raise ValueError(f"{what} {account} is out of range; use 0 to {2**32 - 2}")
    if isinstance(account, str) and (not account or any(c.isspace() or c in ":\0" for c in account)):
        raise ValueError(f"{what} {account!r:.80} is no account name")
    return account
