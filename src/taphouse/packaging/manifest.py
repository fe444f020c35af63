"""Manifest: every file of a package with its size and sum, for programs that look after it.

This module must never look at what is installed.
"""

from __future__ import annotations

import hashlib
import json

from taphouse.packaging.tree import Tree

__all__ = ["manifest_text"]


def manifest_text(tree: Tree) -> str:
    """Return the files of ``tree`` as JSON: path -> size in bytes, SHA-256, or where a link leads.

    Raises:
        ConfigurationError: a file that is copied cannot be read, or has changed.
    """
    entries: dict[str, dict[str, object]] = {}
    for path, node in tree:
        if node.target:
            entries[f"/{path}"] = {"link": node.target}
        elif node.is_file:
            total = hashlib.sha256()
            for block in node.read():
                total.update(block)
            entries[f"/{path}"] = {"size": node.size, "sha256": total.hexdigest()}
    return json.dumps({"format": 1, "files": entries}, indent=1, ensure_ascii=True) + "\n"
