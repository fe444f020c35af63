"""The rules of the house that no linter knows, as functions from a source tree to complaints.

They read source text only, so they judge a planted tree of three files as they judge the real one.
"""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 350
ROOT = "taphouse"


def long_files(package: Path) -> list[str]:
    """Complain about each source file longer than a reader's patience."""
    found = []
    for file in sorted(package.rglob("*")):
        if file.suffix in {".py", ".c", ".h"}:
            lines = len(file.read_text().splitlines())
            if lines > MAX_LINES:
                found.append(f"{file.relative_to(package)}: {lines} lines, {MAX_LINES} at most")
    return found


def missing_charters(package: Path) -> list[str]:
    """Complain about each module that does not open by saying what it is for."""
    return [
        f"{file.relative_to(package)}: no docstring"
        for file in sorted(package.rglob("*.py"))
        if not ast.get_docstring(_tree(file))
    ]


def circles(package: Path) -> list[str]:
    """Complain about the first circle of imports, type-only and function-level imports included."""
    modules = _modules(package)
    graph = {name: {target for _, target in _imports(name, file, modules)} for name, file in modules.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" -> ".join(reversed(error.args[1]))]
    return []


def back_doors(package: Path) -> list[str]:
    """Complain about each import from another room that does not go through its door.

    The front door and ``python -m`` stand before the house: they may name a module of ``cli``.
    """
    modules = _modules(package)
    found = []
    for name, file in modules.items():
        for line, target in _imports(name, file, modules):
            here, there = name.split(".")[1:2], target.split(".")[1:2]
            outside = name in {ROOT, f"{ROOT}.__main__"} and there == ["cli"]
            if here != there and target.count(".") > 1 and not outside:
                found.append(
                    f"{file.relative_to(package)}:{line}: {target} is inside {there[0]}, use its door"
                )
    return found


def untidy_doors(package: Path) -> list[str]:
    """Complain about each door that does not list what it offers, or lists what it does not."""
    found = []
    for file in sorted(package.glob("*/__init__.py")):
        tree = _tree(file)
        lists = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in _targets(node))
        ]
        if not lists and not _bound(tree):
            continue  # a room that offers nothing to others
        if len(lists) != 1:
            found.append(f"{file.relative_to(package)}: no __all__")
        elif missing := set(lists[0]) - _bound(tree):
            found.append(f"{file.relative_to(package)}: __all__ lists {', '.join(sorted(missing))}")
    return found


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _bound(tree: ast.Module) -> set[str]:
    """The names that a module gives a meaning at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.If | ast.Try):  # one of several twins
            names |= _bound(ast.Module(body=[*node.body, *node.orelse], type_ignores=[]))
    return names


def _tree(file: Path) -> ast.Module:
    """Parse each version of a file once: every rule reads every file."""
    return _parsed(file, file.stat().st_mtime_ns)


@functools.cache
def _parsed(file: Path, _changed_ns: int) -> ast.Module:
    return ast.parse(file.read_text())


def _modules(package: Path) -> dict[str, Path]:
    modules = {}
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.c")]):  # a C twin is a module too
        parts = file.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        modules[".".join((ROOT, *parts))] = file
    return modules


def _imports(name: str, file: Path, modules: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """Each import of a module of the house: line and the deepest module it names."""
    if file.suffix != ".py":
        return
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(_tree(file)):
        wanted: list[str] = []
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                # ``from taphouse.durable import volatile`` means what the door calls so, if it does,
                # even where a drawer has the same name.
                inner = f"{base}.{alias.name}"
                door = modules.get(base)
                bound = _bound(_tree(door)) if door and door.name == "__init__.py" else set()
                wanted.append(inner if inner in modules and alias.name not in bound else base)
        for target in wanted:
            if target in modules and target != name:
                yield node.lineno, target
