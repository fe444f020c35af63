"""Code that is missing, moved, renamed or cannot be saved: one line, the right status, nothing lost."""

from __future__ import annotations

import shutil

import pytest

from cli.badinput import OTK, contents, refused
from playground import Playground

pytestmark = pytest.mark.process


def test_a_module_that_is_not_there_is_named_with_where_was_looked(state: Playground) -> None:
    (state.folder / "otk.py").unlink()
    for tap in ("otk-shutdown.tap", "otk-start.tap"):
        line = refused(state, "tap", "check", tap, status=78, says=("module otk is not there",))
        assert str(state.folder) in line
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("module otk is not there",))


def test_a_module_that_is_installed_but_not_allowed_is_refused(state: Playground) -> None:
    elsewhere = state.make_folder("elsewhere")
    (state.folder / "otk.py").rename(elsewhere / "otk.py")
    before = contents(state)
    more = {"PYTHONPATH": str(elsewhere)}
    done = state.run("twistd", "-n", "-f", "otk-shutdown.tap", status=78, environment=more)
    assert "module otk" in done.stderr
    assert "is not allowed" in done.stderr
    assert contents(state) == before
    state.run("twistd", "-f", "otk-shutdown.tap", "--allow-module", "otk", environment=more)
    assert state.ask(8123) == b"1\n"


def test_a_module_that_another_one_shadows_is_refused_with_both(state: Playground) -> None:
    elsewhere = state.make_folder("elsewhere")
    shutil.copy(state.folder / "otk.py", elsewhere)
    done = state.run(
        "twistd", "-n", "-f", "otk-shutdown.tap", status=78, environment={"PYTHONPATH": str(elsewhere)}
    )
    assert f"module otk in {state.folder} is shadowed by {elsewhere / 'otk.py'}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_class_that_is_gone_or_renamed_is_named(state: Playground) -> None:
    text = (
        state.read("otk.py")
        .replace("class Keys(", "class Locks(")
        .replace("Keys(), inter", "Factory(), inter")
    )
    (state.folder / "otk.py").write_text(text)
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("otk.Keys",))


def test_a_protocol_that_is_gone_is_named_with_its_listener(playground: Playground) -> None:
    text = "\n".join(OTK.split("class Keys(Factory)", maxsplit=1)[0].splitlines())
    text += "\nf = Factory()\nf.protocol = OneTimeKey\nf.nextkey = 0\n"
    text += 'app = Application("otk")\napp.listenTCP(8123, f)\napp.save("start")\n'
    playground.write("otk.py", text)
    playground.run("python", "otk.py")
    (playground.folder / "otk.py").write_text(
        playground.with_free_ports(text).replace("OneTimeKey", "AnyKey")
    )
    label = f"tcp:{playground.port(8123)}"
    refused(
        playground, "twistd", "-n", "-f", "otk-start.tap", status=78, says=(label, "needs", "otk.OneTimeKey")
    )


def test_a_class_that_is_newer_in_the_tap_than_in_the_code_is_named(seed: Playground) -> None:
    text = seed.read("otk.py")
    (seed.folder / "otk.py").write_text(text.replace("class Keys(Factory)", "class Keys(Factory, version=3)"))
    seed.run("python", "otk.py")
    (seed.folder / "otk.py").write_text(text)
    refused(seed, "twistd", "-n", "-f", "otk-start.tap", status=78, says=("otk.Keys", "3", "1"))


def test_an_upgrade_step_that_is_missing_is_named(state: Playground) -> None:
    text = state.read("otk.py")
    (state.folder / "otk.py").write_text(
        text.replace("class Keys(Factory)", "class Keys(Factory, version=2)")
    )
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("otk.Keys", "upgrade_from_1"))


def test_a_renamed_class_that_keeps_its_name_goes_on(state: Playground) -> None:
    text = state.read("otk.py")
    renamed = text.replace("class Keys(Factory)", 'class Locks(Factory, name="otk.Keys")').replace(
        "Keys(), inter", "Locks(), inter"
    )
    (state.folder / "otk.py").write_text(renamed)
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"


UNSAVABLE = """\
import socket
from taphouse import Application, Factory, Protocol

class Keys(Factory):
    protocol = Protocol

keys = Keys()
app = Application("otk")
app.listenTCP(8123, keys)
{statement}
app.save("start")
"""


def test_a_value_that_cannot_be_saved_is_refused_at_its_statement(playground: Playground) -> None:
    playground.write("bad.py", UNSAVABLE.format(statement="keys.cache = {'k': [1, socket.socket()]}"))
    done = playground.run("python", "bad.py", status=1)
    assert "line 10" in done.stderr
    assert "cache['k'][1]: a socket cannot be saved" in done.stderr
    assert playground.files() == {"bad.py"}


def test_a_protocol_that_cannot_be_saved_is_refused_at_save_by_its_listener(playground: Playground) -> None:
    playground.write("bad.py", UNSAVABLE.format(statement="app.listenTCP(8124, lambda: Protocol())"))
    done = playground.run("python", "bad.py", status=70)
    assert done.stderr.startswith(f"bad.py: tcp:{playground.port(8124)}: a lambda cannot be saved")
    assert len(done.stderr.splitlines()) == 1
    assert playground.files() == {"bad.py"}


def test_classes_typed_at_a_prompt_are_refused_at_save(playground: Playground) -> None:
    text = playground.with_free_ports(UNSAVABLE.format(statement=""))
    done = playground.run("python", "-", status=78, stdin=text)
    assert done.stderr.splitlines()[-1].startswith("-: classes typed at a prompt cannot be found again")
    assert playground.files() == set()


@pytest.mark.parametrize("name", ["../otk", "a b", "-f", "", "x" * 65, "otk\\n", ".otk", "o/t", "\\u202eotk"])
def test_a_hostile_application_name_is_refused_where_it_is_given(playground: Playground, name: str) -> None:
    playground.write("bad.py", f'from taphouse import Application\nApplication("{name}")\n')
    done = playground.run("python", "bad.py", status=1)
    last = done.stderr.splitlines()[-1]
    assert "application name" in last and "is not allowed" in last
    assert last.isprintable()
    refused(
        playground, "twistd", "-n", "-y", "bad.py", status=78, says=("application name", "is not allowed")
    )


def test_a_seed_never_replaces_state_or_another_file(state: Playground) -> None:
    text = state.read("otk.py")
    (state.folder / "otk.py").write_text(text.replace('app.save("start")', 'app.save("shutdown")'))
    refused(state, "python", "otk.py", status=78, says=("otk-shutdown.tap", "state of otk"))
    (state.folder / "otk.py").write_text(text.replace('app.save("start")', 'app.save(filename="otk.py")'))
    refused(state, "python", "otk.py", status=78, says=("otk.py", "is no tap"))
