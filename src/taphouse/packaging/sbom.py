"""SBOM: which parts a package is made of, for programs: CycloneDX 1.5, as JSON.

This module must never find out anything itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from taphouse.packaging.about import About, Part

__all__ = ["sbom_text"]


def sbom_text(about: About) -> str:
    """Return the list of parts; the same parts give the same text."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(about.epoch)),
            "component": {"type": "application", "name": about.name, "version": about.version},
        },
        "components": [_component(part) for part in _sorted(about.parts)],
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
