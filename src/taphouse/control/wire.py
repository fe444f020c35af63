"""The bytes of the control socket: one JSON object a line, both ways.  No I/O.

Request: ``{"verb": "backup", "arguments": {"path": "/x.tap"}}``.  Reply:
``{"ok": true, "result": {...}}`` or ``{"ok": false, "error": "...", "code": 78}``.
This module must never know what a verb does.
"""

from __future__ import annotations

import json

from taphouse.value import Value, field

__all__ = ["REPLY_BYTES", "REQUEST_BYTES", "Reply", "Request", "WireError"]

REQUEST_BYTES = 65_536
"""The longest request line."""
REPLY_BYTES = 16 << 20
"""The longest reply line."""


class WireError(ValueError):
    """The other side sent what is no message; the text says why."""


class Request(Value):
    """What is asked."""

    verb: str
    arguments: dict[str, object] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the line.

        Raises:
            WireError: it is too long.
        """
        line = _encode({"verb": self.verb, "arguments": self.arguments})
        if len(line) > REQUEST_BYTES:
            raise WireError(f"a request of {len(line)} bytes is too long (at most {REQUEST_BYTES})")
        return line

    @classmethod
    def decode(cls, line: bytes) -> Request:
        """Read a line.

        Raises:
            WireError: it is no request.
        """
        fields = _decode(line)
        verb, arguments = fields.pop("verb", None), fields.pop("arguments", {})
        if not isinstance(verb, str) or not isinstance(arguments, dict) or fields:
            raise WireError('a request is {"verb": "...", "arguments": {...}}')
        return cls(verb, arguments)


class Reply(Value):
    """What came of it."""

    result: dict[str, object] = field(default_factory=dict)
    error: str = ""
    code: int = 0
    """The exit code that goes with ``error``; 0 if there is none."""

    def encode(self) -> bytes:
        """Return the line."""
        if self.code:
            return _encode({"ok": False, "error": self.error, "code": self.code})
        return _encode({"ok": True, "result": self.result})

    @classmethod
    def decode(cls, line: bytes) -> Reply:
        """Read a line.

        Raises:
            WireError: it is no reply.
        """
        fields = _decode(line)
        match fields:
            case {"ok": True, "result": dict(result)}:
                return cls(result)
            case {"ok": False, "error": str(error), "code": int(code)} if 0 < code < 256:
                return cls({}, error, code)
        raise WireError("the reply has neither a result nor an error")


def _encode(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, default=str).encode("ascii") + b"\n"


def _decode(line: bytes) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise WireError("that is no JSON") from None
    if not isinstance(fields, dict):
        raise WireError("that is no JSON object")
    return fields
