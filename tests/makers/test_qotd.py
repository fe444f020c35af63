"""Quotes of a file that changes, breaks and vanishes while they are served."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from makers.making import ask, ask_udp, build, port_of, run, serving
from playground import PATIENCE_S
from taphouse.errors import ConfigurationError, UsageError
from taphouse.makers import qotd
from taphouse.makers.qotd import fortunes, shelf
from taphouse.makers.qotd.fortunes import Source
from taphouse.makers.qotd.shelf import Shelf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fortunes"
    path.write_text("one\n%\ntwo\nlines\n%\n\n%\nthree\n")
    return path


def read(path, **more) -> tuple[str, ...]:
    return Source(str(path), **more).read().quotes


# --- the file


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("one\ntwo\n\n three \n", ("one", "two", "three")),
        ("one\n%\ntwo\n", ("one", "two")),
        ("%\none\ntwo\n%\n%\n", ("one\ntwo",)),
        ("one\r\n%\r\ntwo\r\nlines\r\n", ("one", "two\nlines")),
        ("  indented\n  verse\n%  \n50 % off\n", ("  indented\n  verse", "50 % off")),
        ("50 % off\n", ("50 % off",)),
        ("no newline", ("no newline",)),
    ],
)
def test_quotes_stand_between_lines_of_percent_or_on_lines(file, text, quotes):
    file.write_bytes(text.encode())
    assert read(file) == quotes


def test_a_separator_may_be_given(file):
    file.write_text("one\n%\n--\ntwo\nlines\n")
    assert read(file, separator="--") == ("one\n%", "two\nlines")
    assert read(file, separator="line") == ("one", "%", "--", "two", "lines")
    assert read(file, separator=".*") == ("one\n%\n--\ntwo\nlines",)


def test_what_is_not_of_its_encoding_is_shown_and_said(file):
    file.write_bytes("eins\nfünf\n".encode("latin-1"))
    found = Source(str(file)).read()
    assert found.quotes == ("eins", "f\ufffdnf")
    assert found.notes == ("line 2 is not utf-8: what cannot be read is sent as U+FFFD; see --encoding",)
    assert read(file, encoding="latin-1") == ("eins", "fünf")
    file.write_bytes(b"\xef\xbb\xbfone\n")
    assert read(file) == ("one",)


def test_a_file_without_a_quote_is_refused(file):
    for text in ("", "\n \n", "%\n%\n"):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=r"fortunes holds no quote; write one"):
            read(file)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("fifo", "no regular file"), ("", "no regular file"), ("x", "No such file")):
        with pytest.raises(ConfigurationError, match=why):
            read(tmp_path / name)


def test_too_much_is_refused(file, monkeypatch):
    monkeypatch.setattr(fortunes, "MAX_QUOTE_CHARACTERS", 1000)
    file.write_text("short\n" + "x" * 1001)
    with pytest.raises(ConfigurationError, match="1,001 characters; at most 1,000"):
        read(file)
    monkeypatch.setattr(fortunes, "MAX_FILE_BYTES", 1 << 20)
    with file.open("wb") as big:
        big.truncate((1 << 20) + 1)
    with pytest.raises(ConfigurationError, match="more than 1 MiB"):
        read(file)


def test_quotes_longer_than_the_rfc_wants_are_served_and_noted(file):
    file.write_text("short\n" + "x" * 512)
    assert Source(str(file)).read().notes == ("1 of them longer than the 511 characters of RFC 865",)


# --- the shelf


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A disk has a minute, unless a test takes it away: nobody goes on with old quotes on a busy machine."""
    monkeypatch.setattr(shelf, "PATIENCE_S", 60.0)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def filled(file: Path) -> tuple[Shelf, Clock]:
    clock = Clock()
    made = Shelf(Source(str(file)), clock)
    await made.fill()
    return made, clock


def test_the_file_is_looked_at_once_a_second_at_most(file, monkeypatch):
    async def look():
        made, clock = await filled(file)
        file.write_text("new\n")
        await made.look()
        early = made.quotes
        clock.now_s += 1.0
        await made.look()
        return early, made.quotes

    assert run(look()) == (("one", "two\nlines", "three"), ("new",))


@pytest.fixture
def settled(monkeypatch):
    """Files are taken at their signatures, however young they are."""
    monkeypatch.setattr(shelf, "SETTLED_S", -1e9)


def test_a_file_that_is_replaced_or_whose_size_and_time_stay_is_seen(file, tmp_path, settled):
    async def look():
        made, clock = await filled(file)
        before = after = file.stat()
        while after.st_ctime_ns == before.st_ctime_ns:  # its clock ticks every few milliseconds
            file.write_text("ONE\n%\ntwo\nlines\n%\n\n%\nthree\n")
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            after = file.stat()
        clock.now_s += 1.0
        await made.look()
        same_size = made.quotes[0]
        (tmp_path / "next").write_text("replaced\n")
        (tmp_path / "next").rename(file)
        clock.now_s += 1.0
        await made.look()
        return same_size, made.quotes

    assert run(look()) == ("ONE", ("replaced",))


def test_a_young_file_may_have_changed_within_the_tick_of_a_clock(file, monkeypatch):
    monkeypatch.setattr(shelf, "SETTLED_S", 3600.0)  # it is young, however long this takes
    same = (1, 1, 1, time.time_ns(), time.time_ns())
    for module in (fortunes, shelf):
        monkeypatch.setattr(module, "signature_of", lambda status: same)

    async def look():
        made, clock = await filled(file)
        file.write_text("new\n")
        clock.now_s += 1.0
        await made.look()
        return made.quotes

    assert run(look()) == ("new",)


def test_a_file_that_did_not_change_is_not_read_again(file, monkeypatch, settled):
    async def look():
        made, clock = await filled(file)
        reads = []
        monkeypatch.setattr(Source, "read", lambda self: reads.append(self))
        for _ in range(3):
            clock.now_s += 1.0
            await made.look()
        return reads

    assert run(look()) == []


def test_what_is_broken_meanwhile_is_said_once_and_the_old_quotes_are_served(file, caplog):
    async def look():
        made, clock = await filled(file)
        seen = [made.quotes]
        was = file.read_text()
        for text in (None, was, "", "back\n"):
            file.unlink() if text is None else file.write_text(text)
            for _ in range(3):
                clock.now_s += 1.0
                await made.look()
            seen.append(made.quotes)
        return seen

    old = ("one", "two\nlines", "three")
    with caplog.at_level("INFO", "taphouse.makers.qotd"):
        assert run(look()) == [old, old, old, old, ("back",)]
    ours = (record for record in caplog.records if record.name == "taphouse.makers.qotd")
    first, gone, there, empty, back = (record.getMessage() for record in ours)
    assert first == there
    assert first.endswith("fortunes: 3 quotes")
    assert "No such file" in gone
    assert gone.endswith("going on with the 3 quotes from before")
    assert "holds no quote" in empty
    assert back.endswith("fortunes: 1 quote")


def test_a_disk_that_hangs_holds_up_nobody_for_long(file, monkeypatch):
    released, reads = threading.Event(), []

    def hang(source):
        reads.append(source)
        released.wait(60)

    async def look():
        made, clock = await filled(file)
        monkeypatch.setattr(shelf, "PATIENCE_S", 0.01)
        monkeypatch.setattr(Source, "read", hang)
        file.write_text("new\n")
        clock.now_s += 1.0
        await asyncio.gather(*(made.look() for _ in range(10)))  # who all share one look
        monkeypatch.setattr(shelf, "PATIENCE_S", 60.0)
        clock.now_s += 61.0
        await made.look()  # who comes later does not wait at all
        assert made.begin_look() is made.begin_look()
        released.set()
        await made.begin_look()
        return made.quotes, len(reads)

    assert run(look()) == (("one", "two\nlines", "three"), 1)


def test_a_disk_that_hangs_does_not_hold_up_the_end(file, monkeypatch):
    hangs, released, threads = threading.Event(), threading.Event(), []

    def hang(source):
        threads.append(threading.current_thread())
        hangs.set()
        released.wait(60)

    async def look():
        made, clock = await filled(file)
        monkeypatch.setattr(shelf, "PATIENCE_S", 0.01)
        monkeypatch.setattr(Source, "read", hang)
        file.write_text("new\n")
        clock.now_s += 1.0
        await made.look()
        made.close()
        assert hangs.wait(PATIENCE_S)

    run(look())
    (thread,) = threads
    assert thread.is_alive()
    released.set()
    thread.join()


# --- the server


def test_everybody_gets_a_quote_on_both_transports(file):
    async def talk():
        async with serving(build(qotd, file=str(file), udp=True)) as server:
            datagram, said = await ask_udp(port_of(server, "udp")), set()
            while len(said) < 3:  # one of them by chance each time
                said.add(await ask(port_of(server)))
            return said, datagram

    said, datagram = run(talk())
    assert said == {b"one\r\n", b"two\r\nlines\r\n", b"three\r\n"}
    assert datagram in said


def test_a_sequence_goes_on_where_it_was(file, tmp_path):
    async def two_lives():
        said = []
        for _ in range(2):
            app = build(qotd, file=str(file), order="sequence")
            async with serving(app, state=str(tmp_path / "qotd.tap")) as server:
                said += [await ask(port_of(server)) for _ in range(2)]
        return said

    assert run(two_lives()) == [b"one\r\n", b"two\r\nlines\r\n", b"three\r\n", b"one\r\n"]


def test_only_what_remembers_nothing_waits_for_no_commit(file):
    waits = {
        order: not build(qotd, file=str(file), order=order).listeners[0].factory.stateless
        for order in ("random", "sequence")
    }
    assert waits == {"random": False, "sequence": True}


def test_a_sequence_begins_anew_where_the_file_has_become_shorter(file):
    async def talk():
        async with serving(build(qotd, file=str(file), order="sequence")) as server:
            for _ in range(3):
                await ask(port_of(server))
            server.application.listeners[0].factory._v_shelf._looked_s -= 2.0
            file.write_text("a\nb\n")
            return [await ask(port_of(server)) for _ in range(2)]

    assert run(talk()) == [b"b\r\n", b"a\r\n"]


def test_a_datagram_is_cut_between_two_characters(file):
    file.write_text("ü" * 400)

    async def talk():
        async with serving(build(qotd, file=str(file), udp=True)) as server:
            return await ask_udp(port_of(server, "udp")), await ask(port_of(server))

    datagram, whole = run(talk())
    assert datagram.decode() == "ü" * 256
    assert whole.decode() == "ü" * 400 + "\r\n"


def test_a_start_without_quotes_fails_and_names_the_file(file):
    app = build(qotd, file=str(file))
    file.unlink()

    async def start():
        async with serving(app):
            pass

    with pytest.raises(ConfigurationError, match=r"fortunes cannot be read: No such file"):
        run(start())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "file"),
        ({"file": "/nowhere/fortunes"}, "/nowhere/fortunes"),
        ({"file": "FILE", "separator": ""}, "--separator '' is not what a line can be"),
        ({"file": "FILE", "encoding": "klingon"}, "--encoding klingon: there is no such encoding"),
        ({"file": "FILE", "encoding": "hex"}, "--encoding hex"),
        ({"file": "FILE", "order": "backwards"}, "order"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(file, options, why):
    given = {name: str(file) if value == "FILE" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=why):
        build(qotd, **given)


def test_an_empty_file_is_refused_when_the_tap_is_made(file):
    file.write_text("")
    with pytest.raises(UsageError, match=r"--file .*fortunes holds no quote; write one into it"):
        build(qotd, file=str(file))
