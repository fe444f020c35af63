"""The reader of documents reads what is written, and sees what differs."""

from __future__ import annotations

import subprocess

import pytest

from docs.walkthrough import Walkthrough, blocks_of, reads_a_log, same_output

DOCUMENT = """
A file:

```python hello.py
print("hello")
```

```console
$ python hello.py
hello
$ echo 1; echo 2; echo 3
1
...
3
```

```sh
rm -rf everything
```
"""


def test_files_sessions_and_plain_text_are_told_apart():
    assert [(block.kind, block.name) for block in blocks_of(DOCUMENT)] == [
        ("file", "hello.py"),
        ("session", ""),
        ("text", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("", ""),
        ("a\nb", "a\nb\n"),
        ("a\n...", "a\nb\nc\n"),
        ("a ... c", "a b c\n"),
        ("2026-01-01T00:00:00+00:00 [-] Log opened.", "2031-12-31T23:59:59.123+02:00 [-] Log opened.\n"),
        ("pid 17", "pid 4242\n"),
        ("a", "twistd: not ready after 1 s, committing, accepting; waiting\na\n"),
    ],
)
def test_output_that_says_the_same_is_the_same(shown, real):
    assert same_output(shown, real)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("", "a\n"),
        ("a", ""),
        ("a\nb", "a\n"),
        ("a\n...\nd", "a\nb\nc\n"),
        ("[-] a", "[*x*] a\n"),
        ("1", "12\n"),
    ],
)
def test_output_that_says_something_else_differs(shown, real):
    assert not same_output(shown, real)


@pytest.mark.parametrize(
    ("line", "only"),
    [
        ("cat twistd.log", True),
        ("tail -n 3 twistd.log", True),
        ("grep -o 'is merged.*\\|is kept as.*' twistd.log", True),
        ('grep -c "longest .*; disk" twistd.log', True),
        ('journalctl -o cat -u otk --grep "^changes|^keeps"', True),
        ("cat printed", False),
        ("cat twistd.log; rm twistd.log", False),
        ("grep x twistd.log | tee y.log", False),
        ("cat otk.tap >otk.log", False),
        ("twistd -y otk.py -l otk.log", False),
    ],
)
def test_what_only_reads_a_log_may_be_typed_again(line, only):
    assert reads_a_log(line) is only


@pytest.mark.process
def test_a_line_that_comes_into_a_log_a_moment_later_is_waited_for(playground, tmp_path):
    """Whoever logs does not wait for a disk."""
    (tmp_path / "doc.md").write_text("```console\n$ cat twistd.log\nfirst\nsecond\n```\n")
    typed = []
    log = playground.write("twistd.log", "first\n")
    run = playground.run

    def written_meanwhile(*command, **more):
        typed.append(command)
        done = run(*command, **more)
        log.write_text("first\nsecond\n")
        return done

    playground.run = written_meanwhile
    Walkthrough(tmp_path / "doc.md", playground).follow()
    assert len(typed) == 2


@pytest.mark.process
def test_a_document_is_followed_from_top_to_bottom(playground, tmp_path):
    (tmp_path / "doc.md").write_text(DOCUMENT)
    walkthrough = Walkthrough(tmp_path / "doc.md", playground)
    walkthrough.follow()
    assert walkthrough.typed == 2


@pytest.mark.process
def test_a_document_that_lies_is_caught(playground, tmp_path):
    (tmp_path / "doc.md").write_text(DOCUMENT.replace("\nhello\n", "\ngood bye\n"))
    with pytest.raises(AssertionError, match=r"line 8: \$ python hello.py"):
        Walkthrough(tmp_path / "doc.md", playground).follow()


class FakeMachine:
    """Stands for a server: remembers what it is told."""

    def __init__(self):
        self.told = []

    def run(self, *command, status=0, stdin=""):
        self.told.append(command[-1])
        return subprocess.CompletedProcess(command, 0, stdout="done\n")

    def copy_in(self, source, path):
        self.told.append((source.read_text(), path))

    def story(self):
        return ""


ON_A_SERVER = """
```console
$ echo hello >greeting
$ scp greeting root@server:
```

```console server
# cat greeting
done
```
"""


@pytest.mark.process
def test_what_root_types_on_a_server_is_typed_there(playground, tmp_path):
    (tmp_path / "doc.md").write_text(ON_A_SERVER)
    server = FakeMachine()
    Walkthrough(tmp_path / "doc.md", playground, server).follow()
    assert server.told == [("hello\n", "/root/greeting"), "cd; exec 2>&1; cat greeting"]


@pytest.mark.process
def test_a_document_that_lies_about_a_server_is_caught(playground, tmp_path):
    (tmp_path / "doc.md").write_text(ON_A_SERVER.replace("\ndone\n", "\nfailed\n"))
    with pytest.raises(AssertionError, match=r"line 7: \$ cat greeting"):
        Walkthrough(tmp_path / "doc.md", playground, FakeMachine()).follow()


@pytest.mark.process
def test_without_a_server_the_rest_of_a_document_is_followed(playground, tmp_path):
    (tmp_path / "doc.md").write_text(ON_A_SERVER)
    walkthrough = Walkthrough(tmp_path / "doc.md", playground)
    walkthrough.follow()
    assert walkthrough.typed == 2


@pytest.mark.process
def test_a_command_in_the_foreground_is_interrupted_as_its_reader_would(playground, tmp_path):
    (tmp_path / "doc.md").write_text(
        '```python wait.py\nimport signal\nprint("waiting")\n'
        'try:\n    signal.pause()\nexcept KeyboardInterrupt:\n    print("bye")\n```\n'
        "```console foreground\n$ python wait.py\nwaiting\n```\n"
        "```console\n$ echo meanwhile\nmeanwhile\n```\n"
        "```console\n^C\nbye\n```\n"
    )
    walkthrough = Walkthrough(tmp_path / "doc.md", playground)
    walkthrough.follow()
    assert walkthrough.typed == 3
