"""Files: an ASGI application that serves what lies below one folder, and nothing else.

Ranges, ETags and conditions are starlette's ``FileResponse``; which file a
request means, and that it lies inside, is decided here.  This module must never
know connections or factories.
"""

from __future__ import annotations

import asyncio
import os
import stat
from email.utils import parsedate
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from taphouse.makers.web.listing import make_listing

__all__ = ["Files"]

_AT_ONCE_BYTES: Final = 256 * 1024
"""A file up to this size is read in the same go that finds it."""

_NOT_FOUND = (FileNotFoundError, NotADirectoryError)
_WELL_KNOWN = ".well-known"
"""The one name with a dot that is meant to be asked for (RFC 8615)."""


class _Found:
    """What a path means: a file with its contents if it is short, or a folder."""

    def __init__(self, path: str, status: os.stat_result, content: bytes | None = None) -> None:
        self.path = path
        self.status = status
        self.content = content

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


class Files:
    """Serves the files below ``folder``.

    Args:
        folder: the root; nothing outside of it is served, whatever a link says.
        index: whether a folder without ``index.html`` is listed.
        hidden: whether names that begin with a dot are served.
    """

    def __init__(self, folder: str, *, index: bool = False, hidden: bool = False) -> None:
        self._root = os.path.realpath(folder)
        self._index = index
        self._hidden = hidden

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        response = await self._respond(scope)
        response.headers.setdefault("x-content-type-options", "nosniff")
        await response(scope, receive, send)

    async def _respond(self, scope: Any) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed", 405, {"allow": "GET, HEAD"})
        raw = scope["raw_path"].removeprefix(scope["root_path"].encode())
        names = split_path(raw)
        if names is None or (not self._hidden and _is_hidden(names)):
            return PlainTextResponse("Not Found", 404)
        try:
            found = await asyncio.to_thread(self._look, names)
            if found is not None and not found.is_folder and raw.endswith(b"/"):
                found = None
            if found is not None and found.is_folder:
                if not raw.endswith(b"/") and raw:
                    return _redirect(scope, names)
                return await self._serve_folder(scope, found, names)
        except PermissionError:
            return PlainTextResponse("Forbidden", 403)
        except OSError:  # a name that is too long, a circle of links, ...
            found = None
        return PlainTextResponse("Not Found", 404) if found is None else _serve_file(scope, found)

    async def _serve_folder(self, scope: Any, folder: _Found, names: list[str]) -> Response:
        page = await asyncio.to_thread(self._look, [*names, "index.html"])
        if page is not None and not page.is_folder:
            return _serve_file(scope, page)
        if not self._index:
            return PlainTextResponse("Not Found", 404)
        listing = await asyncio.to_thread(make_listing, folder.path, names, hidden=self._hidden)
        policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(listing, headers=policy)

    def _look(self, names: list[str]) -> _Found | None:
        """Return the file or folder that ``names`` lead to; None if there is none to be served."""
        path = os.path.realpath(os.path.join(self._root, *names))
        inside = os.path.relpath(path, self._root)
        parts = [] if inside == "." else inside.split(os.sep)
        if parts[:1] == [".."] or (not self._hidden and _is_hidden(parts)):
            return None  # a link leads there
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                return _Found(path, status)
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > _AT_ONCE_BYTES:
                return _Found(path, status) if os.access(path, os.R_OK) else _refuse(path)
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                return _Found(path, status, file.read())
        except _NOT_FOUND:
            return None


def split_path(raw: bytes) -> list[str] | None:
    """Return the names in the path of a request; None if no file can be called that.

    A name is decoded by itself, so that no ``%2f`` makes two of one.
    """
    names = []
    for part in raw.split(b"/"):
        name = unquote_to_bytes(part)
        if name in (b".", b"..") or b"/" in name or b"\0" in name:
            return None
        if name:
            names.append(os.fsdecode(name))
    return names


def _is_hidden(names: list[str]) -> bool:
    return any(name.startswith(".") for name in names[names[:1] == [_WELL_KNOWN] :])


def _refuse(path: str) -> _Found:
    raise PermissionError(path)


def _redirect(scope: Any, names: list[str]) -> Response:
    # Put together from the names that were found: "//elsewhere.example" would be another server.
    path = "/".join(quote(os.fsencode(name)) for name in names)
    query = scope["query_string"].decode("latin-1")
    location = f"{quote(scope['root_path'])}/{path}/{'?' if query else ''}{query}"
    return PlainTextResponse("Moved Permanently", 301, {"location": location})


def _serve_file(scope: Any, found: _Found) -> Response:
    response = FileResponse(found.path, stat_result=found.status)
    request = Headers(scope=scope)
    if _is_not_modified(response, request):
        kept = ("cache-control", "content-location", "date", "etag", "expires", "vary", "last-modified")
        headers = {name: value for name, value in response.headers.items() if name in kept}
        return Response(status_code=304, headers=headers)
    if found.content is None or "range" in request or len(found.content) != found.status.st_size:
        return response
    headers = dict(response.headers)
    return Response(b"" if scope["method"] == "HEAD" else found.content, headers=headers)


def _is_not_modified(response: Response, request: Headers) -> bool:
    """Say whether the client has this version already (RFC 9110, 13.2.2)."""
    tags = request.get("if-none-match")
    if tags is not None:
        ours = response.headers["etag"]
        return any(tag.strip().removeprefix("W/") in (ours, "*") for tag in tags.split(","))
    since = parsedate(request.get("if-modified-since", ""))
    modified = parsedate(response.headers["last-modified"])
    return since is not None and modified is not None and since >= modified
