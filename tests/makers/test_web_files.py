"""Static files of ``mktap web --path``, asked by curl: what is served, and what never is."""

from __future__ import annotations

import asyncio
import os
import re

import pytest

from makers.making import run
from makers.webbing import site

pytestmark = pytest.mark.process

BIG = bytes(range(256)) * 4096


@pytest.fixture
def public(tmp_path):
    """A folder to serve, beside one that nobody may see."""
    folder = tmp_path / "public"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "hello.txt").write_text("hello, world\n")
    (folder / "big.bin").write_bytes(BIG)
    (folder / "a b&c.html").write_text("<p>")
    (folder / "100%.txt").write_text("all")
    (folder / ".htpasswd").write_text("secret")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / ".well-known").mkdir()
    (folder / ".well-known" / "security.txt").write_text("contact")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_text("<h1>docs")
    (folder / "plain").mkdir()
    (folder / "plain" / "<b>.txt").write_text("bold")
    (folder / "out").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "in").symlink_to("hello.txt")
    (folder / "veiled").symlink_to(".htpasswd")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    return folder


def asked(public, *paths_and_words, **options):
    """Ask for each path (and curl's words with it) in one server's life; return the answers."""

    async def main():
        async with site(path=str(public), **options) as served:
            found = []
            for asking in paths_and_words:
                path, *words = [asking] if isinstance(asking, str) else asking
                found.append(await served.curl(path, *words))
            return found

    found = run(main())
    return found[0] if len(found) == 1 else found


def test_a_file_is_served_with_what_a_client_needs_to_know_of_it(public):
    answer = asked(public, "/hello.txt")
    assert (answer.status, answer.body) == (200, b"hello, world\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == "13"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["last-modified"].endswith(" GMT")
    assert answer.headers["date"].endswith(" GMT")


@pytest.mark.parametrize("name", ["hello.txt", "big.bin"])
def test_head_tells_the_same_without_the_file(public, name):
    whole, head = asked(public, f"/{name}", (f"/{name}", "-I"))
    assert head.status == 200
    assert head.body == b""
    del whole.headers["date"], head.headers["date"]
    assert head.headers == whole.headers


def test_who_has_the_file_already_hears_so(public):
    first = asked(public, "/hello.txt")
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    answers = asked(
        public,
        ("/hello.txt", "-H", f"If-None-Match: {etag}"),
        ("/hello.txt", "-H", f'If-None-Match: "other", W/{etag}'),
        ("/hello.txt", "-H", f"If-Modified-Since: {modified}"),
        ("/hello.txt", "-H", 'If-None-Match: "other"', "-H", f"If-Modified-Since: {modified}"),
        ("/hello.txt", "-H", "If-Modified-Since: yesterday"),
        ("/hello.txt", "-H", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
    )
    assert [answer.status for answer in answers] == [304, 304, 304, 200, 200, 200]
    assert all(answer.body == b"" and answer.headers["etag"] == etag for answer in answers[:3])


def test_a_file_that_changes_has_another_etag(public):
    before = asked(public, "/hello.txt")
    (public / "hello.txt").write_text("good bye, world\n")
    (after,) = [asked(public, ("/hello.txt", "-H", f"If-None-Match: {before.headers['etag']}"))]
    assert (after.status, after.body) == (200, b"good bye, world\n")


@pytest.mark.parametrize("name", ["hello.txt", "big.bin"])
def test_parts_of_a_file(public, name):
    content = (public / name).read_bytes()
    answers = asked(
        public,
        (f"/{name}", "-r", "0-4"),
        (f"/{name}", "-r", "7-"),
        (f"/{name}", "-r", "-5"),
        (f"/{name}", "-r", "2-2"),
    )
    assert [answer.status for answer in answers] == [206] * 4
    assert [answer.body for answer in answers] == [content[:5], content[7:], content[-5:], content[2:3]]
    assert answers[0].headers["content-range"] == f"bytes 0-4/{len(content)}"


def test_a_part_that_is_not_there_and_parts_that_are_none(public):
    beyond, several, nonsense, stale = asked(
        public,
        ("/hello.txt", "-r", "100-200"),
        ("/hello.txt", "-r", "0-1,4-5"),
        ("/hello.txt", "-H", "Range: bytes=none"),
        ("/hello.txt", "-r", "0-4", "-H", 'If-Range: "old"'),
    )
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */13")
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert b"he" in several.body
    assert b"Content-Range: bytes 4-5/13" in several.body
    assert nonsense.status in (200, 400)
    assert (stale.status, stale.body) == (200, b"hello, world\n")


def test_a_long_file_comes_whole(public):
    assert asked(public, "/big.bin").body == BIG


def test_a_folder_shows_its_page_and_is_called_with_a_slash(public):
    page, redirect = asked(public, "/docs/", "/docs?a=1")
    assert (page.status, page.body) == (200, b"<h1>docs")
    assert page.headers["content-type"].startswith("text/html")
    assert (redirect.status, redirect.headers["location"]) == (301, "/docs/?a=1")


@pytest.mark.parametrize("path", ["//docs", "///docs", "//docs/../docs", "//elsewhere.example/%2e%2e"])
def test_no_redirect_leads_to_another_server(public, path):
    answer = asked(public, path)
    assert not answer.headers.get("location", "").startswith("//")


def test_a_folder_is_listed_only_if_that_was_asked_for(public):
    assert asked(public, "/plain/").status == 404
    root, plain = asked(public, "/", "/plain/", index=True)
    assert root.status == plain.status == 200
    assert b'<a href="./a%20b%26c.html">a b&amp;c.html</a>' in root.body
    assert b'<a href="./docs/">docs/</a>' in root.body
    assert b"circle" not in root.body
    assert b"htpasswd" not in root.body
    assert b"<b>" not in plain.body
    assert b'<a href="./%3Cb%3E.txt">&lt;b&gt;.txt</a>' in plain.body
    assert b'<a href="../">' in plain.body
    assert b'<a href="../">' not in root.body
    assert "default-src 'none'" in root.headers["content-security-policy"]


def test_names_in_other_letters_are_found_and_listed(public):
    os.close(os.open(os.fsencode(public) + b"/na\xefve.txt", os.O_CREAT, 0o644))
    (public / "grüße.txt").write_text("ß")
    latin, utf8, listing = asked(public, "/na%EFve.txt", "/gr%C3%BC%C3%9Fe.txt", "/", index=True)
    assert (latin.status, utf8.body) == (200, "ß".encode())
    assert b'<a href="./na%EFve.txt">' in listing.body


SERVED = ["/a%20b%26c.html", "/100%25.txt", "/in", "/.well-known/security.txt"]
NEVER_SERVED = [
    "/nothing",
    "/hello.txt/",
    "/hello.txt/more",
    "/.htpasswd",
    "/.git/config",
    "/.git/",
    "/docs/.well-known/",
    "/out",
    "/up/secret.txt",
    "/veiled",
    "/circle",
    "/pipe",
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/docs/..%5c..%5csecret.txt",
    "/docs%2findex.html",
    "/./hello.txt",
    "/hello.txt%00.png",
    "/" + "x" * 5000,
    "//etc/passwd",
    "/%252e%252e/secret.txt",
]


def test_what_is_served_and_what_never_is(public):
    answers = asked(public, *SERVED, *NEVER_SERVED, index=True)
    found = dict(zip(SERVED + NEVER_SERVED, answers, strict=True))
    assert {path: answer.status for path, answer in found.items()} == {
        **dict.fromkeys(SERVED, 200),
        **dict.fromkeys(NEVER_SERVED, 404),
    }
    assert not [path for path, answer in found.items() if b"secret" in answer.raw]


def test_names_with_a_dot_are_served_if_that_was_asked_for(public):
    plain, folder, linked, listing = asked(
        public, "/.htpasswd", "/.git/config", "/veiled", "/", hidden=True, index=True
    )
    assert [plain.status, folder.status, linked.status] == [200] * 3
    assert b".htpasswd" in listing.body
    ways = [
        "/out",
        "/up/secret.txt",
        "/../secret.txt",
        "/docs/../hello.txt",
        "/./hello.txt",
        "/%2e%2e/secret.txt",
    ]
    assert [answer.status for answer in asked(public, *ways, hidden=True)] == [404] * len(ways)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_files_are_only_read(public, method):
    answer = asked(public, ("/hello.txt", "-X", method))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_the_server_may_not_read_is_forbidden(public):
    (public / "hello.txt").chmod(0)
    assert asked(public, "/hello.txt").status == 403


def test_a_folder_below_a_path_of_a_proxy(public):
    page, redirect = asked(public, "/docs/", "/docs", root_path="/site")
    assert (page.status, redirect.headers["location"]) == (200, "/site/docs/")


def test_one_connection_takes_several_requests_at_once(public):
    async def main():
        async with site(path=str(public)) as served:
            request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n"
            last = request + b"Connection: close\r\n\r\n"
            pipelined = await served.say((request + b"\r\n") * 9 + last)
            assert len(re.findall(rb"HTTP/1.1 200 OK", pipelined)) == 10
            assert pipelined.count(b"hello, world\n") == 10
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            for _ in range(3):
                writer.write(request + b"\r\n")
                answer = await reader.readuntil(b"hello, world\n")
                assert b"connection: close" not in answer
            writer.close()

    run(main())


def test_a_websocket_to_files_is_no_error_of_ours(public):
    upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13")
    assert asked(public, ("/hello.txt", *upgrade)).status == 200
