"""TOML: what cannot be read is told with its place; what is written is read back."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taphouse import usage


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"port = \n", "line 1, column 8: Invalid value"),
        (b"a = 1\na = 2\n", "line 2, column 6: Cannot overwrite a value"),
        (b"a = 1\nb = [1,", "line 2, column 8: Invalid value"),
        (b"a = 1\nb = '\xff'\n", "line 2, column 6: no text in UTF-8"),
        (b"a = " + b"[" * 5000, "nested too deep"),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(tmp_path, content, line):
    path = tmp_path / "server.toml"
    path.write_bytes(content)
    with pytest.raises(usage.UsageError) as caught:
        usage.read_toml(path)
    assert str(caught.value).startswith(f"{path}: {line}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 64


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(usage.UsageError, match=f"{tmp_path}/gone.toml: No such file or directory"):
        usage.read_toml(tmp_path / "gone.toml")
    with pytest.raises(usage.UsageError, match=f"{tmp_path}: Is a directory"):
        usage.read_toml(tmp_path)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text("[server.quotes]\ntype = 'quotes'\nport = 1717\n")
    assert usage.read_toml(path) == {"server": {"quotes": {"type": "quotes", "port": 1717}}}


def test_what_is_written_is_readable():
    text = usage.write_toml(
        {
            "appname": "web",
            "nothing": None,
            "server": {
                "quotes": {"port": 1717, "names": ["a", "b"], "ratio": 1e22, "on": True},
                "my web": {"password": {"file": "/x"}, "é": '\x00\x7f\n"'},
                "empty": {},
            },
            "list": [{"a": 1, "b": None}, {}],
        }
    )
    assert text == (
        'appname = "web"\nlist = [{ a = 1 }, {  }]\n\n[server.quotes]\nport = 1717\nnames = ["a", "b"]\n'
        'ratio = 1e+22\non = true\n\n[server."my web"]\n"é" = "\\u0000\\u007f\\n\\""\n\n'
        '[server."my web".password]\nfile = "/x"\n\n[server.empty]\n'
    )
    assert tomllib.loads(text)["server"]["my web"]["password"] == {"file": "/x"}


def test_nothing_is_written_as_nothing():
    assert usage.write_toml({}) == ""


def test_what_toml_does_not_have_is_refused():
    with pytest.raises(TypeError, match="TOML has no bytes"):
        usage.write_toml({"a": b""})
    with pytest.raises(TypeError, match="TOML has no NoneType"):
        usage.write_toml({"a": [None]})


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_written_is_read_back(mapping):
    assert tomllib.loads(usage.write_toml(mapping)) == mapping
