"""lintian: which of its complaints are about compiled wheels that we ship as they were built.

Each override has one pattern, since lintian minds those that cover a part of
their tags only, and is known to the lintian of Debian 12 and of 13, since it
minds unknown ones as well.  This module must never hide a fault of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taphouse.packaging.elf import Elf

__all__ = ["lintian_overrides"]


def lintian_overrides(package: str, files: Mapping[str, Elf], folders: Iterable[str] = ()) -> str:
    """Return the file of overrides, "" if there is nothing to say.

    Args:
        package: its name.
        files: path in the package -> what was read; all below ``/usr/lib/PACKAGE/vendor``.
        folders: of the package, by path.
    """
    reasons: dict[str, str] = {}
    vendored = f"usr/lib/{package}/vendor/"
    if any(path.startswith(vendored) and _repeats(path) for path in folders):
        reasons["repeated-path-segment *"] = "folders of a distribution are called as its authors call them"
    for elf in files.values():
        if elf.has_symbols:
            reasons["unstripped-binary-or-object"] = "stripping breaks libraries that auditwheel has patched"
        if not elf.needed:
            reasons["shared-library-lacks-prerequisites"] = (
                "extensions get their symbols from the interpreter"
            )
        elif not any(library.startswith("libc.so.") for library in elf.needed):
            reasons["library-not-linked-against-libc"] = "extensions get their symbols from the interpreter"
        reasons["embedded-library *"] = "wheels bring their libraries along; sbom.json lists the wheels"
    return "".join(
        f"# {reason}\n{package}: {tag} [usr/lib/{package}/vendor/*]\n"
        for tag, reason in sorted(reasons.items())
    )


def _repeats(path: str) -> bool:
    parts = path.split("/")
    return len(set(parts)) < len(parts)
