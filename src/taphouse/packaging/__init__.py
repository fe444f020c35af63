"""Room ``packaging``: what a server is shipped in.

From a tree of files to a Debian package, without Debian's tools, the same bytes
wherever it is built.  This room must never run the server, nor ask a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.packaging.deb import installed_kib as installed_kib
    from taphouse.packaging.deb import write_deb as write_deb
    from taphouse.packaging.output import whole_file as whole_file
    from taphouse.packaging.tarball import gzipped as gzipped
    from taphouse.packaging.tarball import write_tar as write_tar
    from taphouse.packaging.tree import Node as Node
    from taphouse.packaging.tree import Tree as Tree

__all__ = ["Node", "Tree", "gzipped", "installed_kib", "whole_file", "write_deb", "write_tar"]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "deb": ["installed_kib", "write_deb"],
            "output": ["whole_file"],
            "tarball": ["gzipped", "write_tar"],
            "tree": ["Node", "Tree"],
        },
    )
