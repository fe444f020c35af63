"""Names: of applications, of modules, of classes.

Pure text and ``sys.modules``; this module must never import user code, open a
file or know what a name is used for.
"""

from __future__ import annotations

import os
import re
import sys

from taphouse.errors import ConfigurationError

__all__ = [
    "check_application_name",
    "descriptor_name",
    "is_importable_name",
    "qualified_name",
    "script_module_name",
]

# Names become file names, lock names and unit names, so: no slash, no leading
# dot or dash, nothing a shell, systemd or dpkg would have to quote.
_APPLICATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_DESCRIPTOR_NAME = 255


def check_application_name(name: object) -> str:
    """Return ``name`` if it may name an application.

    Args:
        name: 1 to 64 characters, ``[A-Za-z0-9][A-Za-z0-9._-]*``.

    Raises:
        ConfigurationError: if it may not.
    """
    if not isinstance(name, str) or _APPLICATION_NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"application name {name!r:.100} is not allowed",
            cure="use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit",
        )
    return name


def descriptor_name(label: str) -> str:
    """Return what systemd calls the socket of the listener with ``label``: ``tcp-8123`` for ``tcp:8123``.

    Two labels never get one name.  It is what ``FileDescriptorName=`` and ``LISTEN_FDNAMES`` take
    (sd_listen_fds(3)): at most 255 ASCII characters, no colon.
    """
    plain = {":": "-", "/": "_", ".": "."}
    name = "".join(
        char if char.isascii() and char.isalnum() else plain.get(char) or f"+{ord(char):x}+" for char in label
    )
    if len(name) <= _LONGEST_DESCRIPTOR_NAME:
        return name
    import hashlib

    return f"{label.partition(':')[0]}-+{hashlib.sha256(label.encode()).hexdigest()}"


def is_importable_name(name: str) -> bool:
    """Say whether ``name`` is a dotted path of identifiers."""
    return bool(name) and all(part.isidentifier() for part in name.split("."))


def script_module_name(path: str) -> str:
    """Return the name under which the script at ``path`` can be imported, ``otk`` for ``/x/otk.py``.

    Returns:
        The name, or ``""`` if the file's name is no importable one.
    """
    stem, suffix = os.path.splitext(os.path.basename(path))
    return stem if suffix == ".py" and stem.isidentifier() else ""


def qualified_name(obj: type | object) -> str:
    """Return ``module.qualname`` of a class or function; ``__main__`` goes by the script's own name."""
    module = getattr(obj, "__module__", None) or "?"
    if module == "__main__":
        path = getattr(sys.modules.get("__main__"), "__file__", None)
        module = (script_module_name(path) if path else "") or "__main__"
    return f"{module}.{getattr(obj, '__qualname__', repr(obj))}"
