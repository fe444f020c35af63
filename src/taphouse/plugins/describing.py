"""What a maker's source says of itself, without running it.

It must never import the module whose source it reads.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import warnings
from collections.abc import Sequence

from taphouse.plugins.declaration import Declaration
from taphouse.plugins.reading import read_start

__all__ = ["describe", "find_source"]

_MOST_BYTES = 4 << 20


def describe(declaration: Declaration) -> tuple[str, str]:
    """Return the description of a maker and why it cannot be used; one of them, or both, may be ``""``."""
    if declaration.fault:
        return _printable(declaration.said), _printable(declaration.fault)
    source = _source_of(declaration)
    if source is None:
        return _printable(declaration.said), f"module {declaration.module} is not there"
    if declaration.file and not _same_place(source, declaration.file):
        fault = f"module {declaration.module} is taken from {source}, which comes first; rename it"
        return _printable(declaration.said), fault
    if not source.endswith(".py"):
        return _printable(declaration.said), ""  # compiled: it can be run, but not read
    try:
        content = read_start(source, _MOST_BYTES + 1)
        if content is None or len(content) > _MOST_BYTES:
            return _printable(declaration.said), ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for who runs it
            tree = ast.parse(content)
    except SyntaxError as error:
        line = f" line {error.lineno}" if error.lineno else ""
        fault = f"{type(error).__name__}: {error.msg} ({source}{line})"
        return _printable(declaration.said), _printable(fault)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return _printable(declaration.said), _printable(f"{source} cannot be read: {error}")
    return _printable(declaration.said or _described(tree, declaration.attribute)), ""


def _source_of(declaration: Declaration) -> str | None:
    """Return the file that a maker would be imported from, its folder being the last on the path."""
    source = find_source(declaration.module)
    if declaration.folder and (source is None or os.path.isdir(source)):
        # A bare folder makes way for a module of its name, wherever that comes on the path.
        spec = importlib.machinery.PathFinder.find_spec(declaration.module, [declaration.folder])
        return spec.origin if spec is not None else None
    return source


def find_source(module: str) -> str | None:
    """Return the file that ``module`` would be imported from, or the folder of one that has no file.

    Unlike `importlib.util.find_spec` this imports no package on the way.
    """
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
        name = top
        for part in rest:
            if spec is None:
                return None
            name = f"{name}.{part}"
            places = spec.submodule_search_locations
            spec = importlib.machinery.PathFinder.find_spec(name, places) if places is not None else None
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.origin not in (None, "namespace"):
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), None)


def _described(tree: ast.Module, attribute: str) -> str:
    """Return the description in the text of a maker: said, of its Options, or of its module."""
    body: Sequence[ast.stmt] = tree.body
    own_docstring = ""
    for part in attribute.split(".") if attribute else ():
        found = _class_of(body, part)
        if found is None:
            break
        body, own_docstring = found.body, ast.get_docstring(found) or ""
    options = _class_of(body, "Options")
    said = _constant(body, "description")
    told = (ast.get_docstring(options) if options else "") or own_docstring or ast.get_docstring(tree) or ""
    return said or told.strip().partition("\n")[0]


def _class_of(body: Sequence[ast.stmt], name: str) -> ast.ClassDef | None:
    """Return the class called ``name``, or the one that ``name`` is set to an instance of."""
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        made = _value_of(node, name)
        if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id != name:
            return _class_of(body, made.func.id)
    return None


def _constant(body: Sequence[ast.stmt], name: str) -> str:
    for node in body:
        value = _value_of(node, name)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _value_of(node: ast.stmt, name: str) -> ast.expr | None:
    """Return what the statement ``node`` sets ``name`` to, if it does."""
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    set_here = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return node.value if set_here and isinstance(node, ast.Assign | ast.AnnAssign) else None


def _printable(text: str) -> str:
    """Return ``text`` in one line that repaints nobody's terminal."""
    return "".join(
        character if character.isprintable() else " " for character in " ".join(text.split())
    ).strip()


def _same_place(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
