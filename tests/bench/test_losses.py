"""What is counted as lost is lost, a power cut leaves what was synced, and documents show what was found."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bench.losses import __main__ as losses
from bench.losses.clients import Tally, http, resp
from bench.losses.powercut import DEATHS, Disk, build_shim
from bench.losses.table import Loss, by_default, kept, table, write_documents

TOP = Path(__file__).resolve().parents[2]


def told(*numbers):
    tally = Tally()
    for number in numbers:
        tally.tell(number)
    return tally


def test_a_server_that_goes_on_above_has_lost_nothing():
    tally = told(1, 2, 3)
    tally.begin_again(4)
    assert vars(tally.count) == {"acknowledged": 4, "lost": 0, "repeated": 0}


def test_a_number_that_nobody_was_told_may_be_missing():
    tally = told(1, 2)
    tally.begin_again(7)
    assert vars(tally.count) == {"acknowledged": 3, "lost": 0, "repeated": 0}


def test_what_is_given_again_was_lost_and_is_counted_once_for_each_death():
    tally = told(1, 2, 3)
    tally.begin_again(2)
    assert vars(tally.count) == {"acknowledged": 4, "lost": 2, "repeated": 1}
    tally.begin_again(1)
    assert vars(tally.count) == {"acknowledged": 5, "lost": 4, "repeated": 2}


@pytest.mark.parametrize(
    ("language", "reply", "number"),
    [
        (resp, b":12\r\n", 12),
        (resp, b":12", None),
        (http, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n12\n", 12),
        (http, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1", None),
        (http, b"HTTP/1.1 200 OK\r\n", None),
    ],
)
def test_only_a_whole_reply_is_a_reply(language, reply, number):
    assert language.number(reply) == number


WRITER = """
import ctypes, os, signal
def create(name):
    return os.open(name, os.O_CREAT | os.O_WRONLY)
def known(name, text):
    file = create(name)
    os.write(file, text)
    return file
synced = known("synced", b"here ")
os.fsync(synced)
os.write(synced, b"gone")
known("never", b"gone")
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
stdio = ctypes.c_void_p(libc.fopen(b"stdio", b"w"))
for word in (b"here ", b"too"):  # past write(2) as far as anybody can see
    libc.fputs(word, stdio)
    libc.fflush(stdio)
    os.fdatasync(libc.fileno(stdio))
libc.fputs(b"gone", stdio)
libc.fflush(stdio)
new = known("new", b"renamed")
os.fsync(new)
os.rename("new", "renamed")
middle = create("middle")
os.pwrite(middle, b"aaaaaa", 0)
os.fsync(middle)
os.pwrite(middle, b"bb", 2)
os.fsync(middle)
os.pwrite(middle, b"cc", 4)
old = create("old")
os.pwrite(old, b"O", 0)
short = known("short", b"too long")
os.fsync(short)
os.ftruncate(short, 3)
os.fsync(short)
os.ftruncate(short, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
def test_a_power_cut_leaves_what_was_synced_and_nothing_else(tmp_path):
    (tmp_path / "files").mkdir()
    disk = Disk(tmp_path / "files", tmp_path / "copies", build_shim(tmp_path))
    (disk.folder / "old").write_text("old")
    disk.settle()
    subprocess.run(
        [sys.executable, "-c", WRITER], cwd=disk.folder, env={**os.environ, **disk.environment}, check=False
    )
    assert (disk.folder / "synced").read_text() == "here gone"
    disk.cut()
    assert {file.name: file.read_text() for file in disk.folder.iterdir()} == {
        "synced": "here ",
        "never": "",
        "stdio": "here too",
        "renamed": "renamed",
        "middle": "aabbaa",
        "old": "old",
        "short": "too",
    }


@pytest.mark.process
@pytest.mark.slow
def test_nothing_that_taphouse_acknowledges_is_lost_in_either_death(capsys):
    with tempfile.TemporaryDirectory() as folder:
        status = losses.main(["--only", "taphouse", "--rounds", "1", "--seconds", "0.3", "--work", folder])
    said = capsys.readouterr().out.splitlines()
    assert status == 0, said
    assert [re.sub(r"acknowledged \d+,", "acknowledged N,", line) for line in said] == [
        "taphouse, kill -9: acknowledged N, lost 0, repeated 0",
        "taphouse, power cut: acknowledged N, lost 0, repeated 0",
    ]


def test_the_table_has_a_row_for_each_server_and_a_column_for_each_death():
    rows = table([Loss("one", "kill -9", 1200, 0, 0), Loss("one", "power cut", 1300, 9, 8)])
    assert rows.splitlines()[-1] == "| one | 1,200, **0** | 1,300, **9** |"


def test_a_full_run_puts_its_tables_in_place_of_the_last_ones(tmp_path):
    old = [Loss("taphouse", "kill -9", 1, 0, 0), Loss("taphouse", "power cut", 1, 0, 0)]
    (tmp_path / "docs").mkdir()
    documents = [tmp_path / "README.md", tmp_path / "docs" / "durability.md"]
    for document in documents:
        document.write_text(f"before\n\n{table(old)}\nafter\n")
    new = [Loss(who, death, 2, 1, 0) for who in ("taphouse", "taphouse, x") for death in DEATHS]
    assert write_documents(new, tmp_path) == documents
    assert documents[0].read_text() == f"before\n\n{table(new[:2])}\nafter\n"
    assert documents[1].read_text() == f"before\n\n{table(new)}\nafter\n"


def test_documents_show_the_figures_that_were_counted():
    assert table(by_default(kept())) in (TOP / "README.md").read_text()
    assert table(kept()) in (TOP / "docs" / "durability.md").read_text()
