"""app: declare.  What an application is, as plain durable data.

Application, factories, protocols, services, listeners, connectors and scheduled
calls, and the plan that describes them.  This room opens nothing, waits for
nothing and writes nothing; it must not know that an application can be saved
(``persist`` is beside it) or how it runs (``runtime`` is above it).
"""

from taphouse.app.addresses import address_label
from taphouse.app.application import Application
from taphouse.app.client import ClientFactory, retry_of
from taphouse.app.connector import Connector
from taphouse.app.declared import Declared, config_attributes
from taphouse.app.driving import (
    Outcome,
    Supervisor,
    start_factory,
    start_service,
    stop_factory,
    stop_service,
)
from taphouse.app.durability import DURABILITIES, check_durability
from taphouse.app.factory import DatagramFactory, Factory, has_serve
from taphouse.app.hooks import RuntimeHooks
from taphouse.app.labels import label_objects, object_label, type_label
from taphouse.app.lifecycle import TRANSITIONS, LifecycleError
from taphouse.app.listener import Listener
from taphouse.app.multiservice import MultiService
from taphouse.app.plan import check_application, find_script, make_plan, unsavable
from taphouse.app.protocol import DatagramProtocol, Protocol, begin_connection
from taphouse.app.retry import Retry
from taphouse.app.schedule import DelayedCall, PeriodicCall, ScheduledCall, anchor_calls, calls_due
from taphouse.app.service import Service, has_run, iter_services
from taphouse.app.shape import find_misshapen
from taphouse.app.streams import StreamProtocol
from taphouse.app.taken import TakenError
from taphouse.app.verbtable import Verbs, verbs
from taphouse.app.wrapping import CallableFactory, as_factory, callable_name

__all__ = [
    "DURABILITIES",
    "TRANSITIONS",
    "Application",
    "CallableFactory",
    "ClientFactory",
    "Connector",
    "DatagramFactory",
    "DatagramProtocol",
    "Declared",
    "DelayedCall",
    "Factory",
    "LifecycleError",
    "Listener",
    "MultiService",
    "Outcome",
    "PeriodicCall",
    "Protocol",
    "Retry",
    "RuntimeHooks",
    "ScheduledCall",
    "Service",
    "StreamProtocol",
    "Supervisor",
    "TakenError",
    "Verbs",
    "address_label",
    "anchor_calls",
    "as_factory",
    "begin_connection",
    "callable_name",
    "calls_due",
    "check_application",
    "check_durability",
    "config_attributes",
    "find_misshapen",
    "find_script",
    "has_run",
    "has_serve",
    "iter_services",
    "label_objects",
    "make_plan",
    "object_label",
    "retry_of",
    "start_factory",
    "start_service",
    "stop_factory",
    "stop_service",
    "type_label",
    "unsavable",
    "verbs",
]
