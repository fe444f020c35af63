"""SBOM: which parts a package is made of, for programs: CycloneDX 1.5, as JSON.

This module must never find out anything itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from urllib.parse import quote

from taphouse.packaging.about import About, Part, SystemPackage

__all__ = ["bill_of_materials", "sbom_text"]


def sbom_text(about: About) -> str:
    """Return the list of parts; the same parts give the same text."""
    return bill_of_materials(about.name, about.version, about.epoch, about.parts)


def bill_of_materials(
    name: str, version: str, epoch: int, parts: Iterable[Part], system: Iterable[SystemPackage] = ()
) -> str:
    """Return what something is made of.

    Args:
        name: of the whole.
        version: of the whole.
        epoch: when it was made, seconds since 1970.
        parts: distributions of Python.
        system: Debian packages.
    """
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {"type": "application", "name": name, "version": version},
        },
        "components": [
            *(_component(part) for part in _sorted(parts)),
            *(_system_component(package) for package in system),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def _sorted(parts: Iterable[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: (part.name.lower(), part.version))


def _component(part: Part) -> dict[str, object]:
    name = part.name.lower().replace("_", "-")
    found: dict[str, object] = {
        "type": "library",
        "name": part.name,
        "version": part.version,
        "purl": f"pkg:pypi/{name}@{part.version}",
    }
    if part.license:
        found["licenses"] = [{"license": {"name": part.license}}]
    return found


def _system_component(package: SystemPackage) -> dict[str, object]:
    architecture = f"?arch={quote(package.architecture)}" if package.architecture else ""
    return {
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}{architecture}",
    }
