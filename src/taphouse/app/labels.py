"""Labels: durable identity, without a word about addresses.

A factory is called by its explicit ``name=``, else by type and ordinal
(``Keys#1``); a service by its names from the root down (``pool/worker``).  So a
listener may move to another port and its factory is still the same one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from taphouse.app.application import Application
from taphouse.app.factory import Factory
from taphouse.app.service import Service, iter_services
from taphouse.app.wrapping import CallableFactory, callable_name

__all__ = ["label_objects", "object_label", "type_label"]


def type_label(obj: object) -> str:
    """Return the short type name of ``obj``; of a wrapped protocol class, the class's own."""
    if isinstance(obj, CallableFactory) and obj.target_or_none is not None:
        return callable_name(obj.target_or_none)
    return type(obj).__name__


def label_objects(app: Application) -> dict[str, Factory | Service]:
    """Return every factory and service of ``app`` under its label.

    Factories come in the order of their first statement (listeners, then
    connectors), then services, parents first.  Two statements with one factory
    are one entry; the first explicit name counts.
    """
    named: dict[int, str] = {}
    factories: dict[int, Factory] = {}
    for record in app.endpoints:
        factories.setdefault(id(record.factory), record.factory)
        if record.name is not None:
            named.setdefault(id(record.factory), record.name)
    labels: dict[str, Factory | Service] = {}
    counts: Counter[str] = Counter()
    for key, factory in factories.items():
        label = named.get(key)
        if label is None:
            kind = type_label(factory)
            counts[kind] += 1
            label = f"{kind}#{counts[kind]}"
        labels[label] = factory
    for service in iter_services(app):
        # A service without a name is "Clock#1", and so may a factory of that
        # class name be: the slash in front keeps the two apart.
        label = service.path if service.path not in labels else f"/{service.path}"
        labels[label] = service
    return labels


def object_label(app: Application, obj: Any) -> str:
    """Return the label of a factory or service of ``app``; of anything else, its type's name."""
    for label, candidate in label_objects(app).items():
        if candidate is obj:
            return label
    return app.name if obj is app else type_label(obj)
