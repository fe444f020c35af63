"""What a stored application holds, by the rules by which its own classes hold it.

A tap may have been edited, or forged with sums that fit; what is read of it by
name and trusted from then on is looked at once, here.  What users' classes hold
is theirs.  This module must never know taps.
"""

from __future__ import annotations

import inspect
from typing import Any, get_args

from taphouse.app.application import Application, check_account
from taphouse.app.connector import Connector, ConnectorKind, check_seconds
from taphouse.app.durability import check_durability
from taphouse.app.listener import Listener, ListenerKind
from taphouse.app.retry import Retry
from taphouse.app.schedule import ScheduledCall
from taphouse.app.service import Service, ServiceCollection, check_service_name
from taphouse.durable import raw_state
from taphouse.errors import ConfigurationError
from taphouse.names import check_application_name

__all__ = ["find_misshapen"]

_KINDS = {Listener: get_args(ListenerKind), Connector: get_args(ConnectorKind)}


def find_misshapen(app: Application) -> str:
    """Return what in ``app`` no statement of a program has made, as a phrase; ``""`` if all is well.

    A service whose class the code does not have is passed over: who needs that is told elsewhere.
    """
    try:
        _check_root(app)
    except (AttributeError, ConfigurationError, KeyError, TypeError, ValueError) as error:
        return error.message if isinstance(error, ConfigurationError) else str(error)
    return ""


def _check_root(app: Application) -> None:
    check_application_name(app.name)
    check_account(app.uid, "uid")
    check_account(app.gid, "gid")
    check_durability(app.durability)
    _check_count(app.calls_made, "calls_made")
    for kind, records in ((Listener, app.listeners), (Connector, app.connectors)):
        plural = f"{kind.__name__.lower()}s"
        for index, record in enumerate(_of(list, records, plural)):
            _check_record(kind, record, f"{plural}[{index}]")
    _check_services(app, "the application", {id(app)})
    for number, call in _of(dict, app.schedule, "schedule").items():
        _check_call(number, call)


def _check_record(kind: type[Listener | Connector], record: object, where: str) -> None:
    """Build the record once more: its constructor has the rules."""
    state = raw_state(_of(kind, record, where))
    if state.get("kind") not in _KINDS[kind]:
        raise ValueError(f"{where} is of no kind that there is")
    if "factory" not in state:
        raise ValueError(f"{where} has no factory")
    given = {name: state[name] for name in inspect.signature(kind).parameters if name in state}
    try:
        twin = raw_state(kind(**{**given, "factory": None}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
    for name in twin.keys() - {"factory"}:
        if getattr(record, name) != twin[name]:
            raise ValueError(f"{where}.{name} is {getattr(record, name)!r:.80}")


def _check_services(parent: ServiceCollection, where: str, above: set[int]) -> None:
    for name, service in _of(dict, parent.services, f"services of {where}").items():
        if not isinstance(service, Service):
            continue
        check_service_name(name)
        if service.restart is not None and not isinstance(service.restart, Retry):
            raise ValueError(f"service {name}: restart is {service.restart!r:.80}, which is no Retry")
        if isinstance(service, ServiceCollection):
            if id(service) in above:
                raise ValueError(f"service {name} is its own parent")
            _check_services(service, f"service {name}", above | {id(service)})


def _check_call(number: object, call: object) -> None:
    where = f"schedule[{number!r:.40}]"
    made = _of(ScheduledCall, call, where)
    check_seconds(made.seconds, f"{where}.seconds", zero=True)
    if made.due_s is not None:
        check_seconds(made.due_s, f"{where}.due_s", zero=True)
    _of(tuple, made.args, f"{where}.args")
    _check_count(made.number, f"{where}.number")
    if made.number != number:
        raise ValueError(f"{where} is call {made.number}")


def _check_count(value: object, where: str) -> None:
    if isinstance(value, bool) or _of(int, value, where) < 0:
        raise ValueError(f"{where} is {value!r:.40}")


def _of(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{where} is {type(value).__name__}, not {kind.__name__}")
    return value
