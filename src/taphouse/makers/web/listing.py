"""The page that lists a folder.

It must never know where the folder lies: names are all it shows.
"""

from __future__ import annotations

import os
from html import escape
from time import gmtime, strftime
from urllib.parse import quote

__all__ = ["make_listing"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; }}
td {{ padding: 0.1em 2em 0.1em 0; }}
td.size {{ text-align: right; }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
{rows}
</table>
</body>
</html>
"""
_ROW = '<tr><td><a href="{link}">{name}</a></td><td class="size">{size}</td><td>{time}</td></tr>'


def make_listing(folder: str, names: list[str], *, hidden: bool) -> str:
    """Return the page of a folder: folders first, then files, each by name.

    Args:
        folder: its path.
        names: of the folder and those above it, up to the root that is served.
        hidden: whether names that begin with a dot are shown.
    """
    rows = [] if not names else [_ROW.format(link="../", name="..", size="", time="")]
    folders: list[tuple[str, os.stat_result]] = []
    files: list[tuple[str, os.stat_result]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and not hidden:
                continue
            try:
                status = entry.stat()
                is_folder = entry.is_dir()
            except OSError:  # a link that leads nowhere, or gone by now
                continue
            (folders if is_folder else files).append((entry.name, status))
    for name, status in sorted(folders):
        rows.append(_row(name + "/", "", status.st_mtime))
    for name, status in sorted(files):
        rows.append(_row(name, f"{status.st_size:,}", status.st_mtime))
    return _PAGE.format(title=_shown("/" + "".join(f"{name}/" for name in names)), rows="\n".join(rows))


def _row(name: str, size: str, modified_s: float) -> str:
    # "./" keeps "a:b" from being taken for a scheme.
    link = "./" + quote(os.fsencode(name))
    when = strftime("%Y-%m-%d %H:%M", gmtime(modified_s))
    return _ROW.format(link=escape(link), name=_shown(name), size=size, time=when)


def _shown(name: str) -> str:
    return escape(os.fsencode(name).decode("utf-8", "replace"))
