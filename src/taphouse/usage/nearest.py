"""Nearest: the spelling that somebody may have meant.

It must never know what is spelled.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, words: Iterable[str]) -> str:
    """Return that of ``words`` which is spelled most like ``word``; empty if none is near."""
    import difflib

    near = difflib.get_close_matches(word, list(words), n=1)
    return near[0] if near else ""


def did_you_mean(word: str, words: Iterable[str], otherwise: str = "") -> str:
    """Return the cure of a misspelling."""
    near = nearest(word, words)
    return f"did you mean {near}?" if near else otherwise
