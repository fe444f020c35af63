"""A wheel may come from anywhere: what is in it is checked, and what lies is refused by name."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import tried

from taphouse.errors import ConfigurationError
from taphouse.packaging import Tree, WheelFile, parse_wheel_name
from wheelmaking import make_wheel, sum_of


def read(path: Path) -> dict[str, bytes]:
    return {place: content for place, content, _ in WheelFile(path).files()}


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: is no whole wheel: ")
    assert str(refused.value).endswith("; fetch it again")
    return str(refused.value)


def member(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name  # as it is, with what the constructor would mend
    info.external_attr = (kind | 0o644) << 16
    return info


def test_a_whole_wheel_is_read(tmp_path: Path) -> None:
    wheel = WheelFile(make_wheel(tmp_path, "Some_Thing", {"some/__init__.py": "x"}, requires=["a", "b"]))
    assert (wheel.name, wheel.version, wheel.requires, wheel.modules) == (
        "Some_Thing",
        "1.0",
        ["a", "b"],
        {"some"},
    )
    assert read(Path(wheel.path))["some/__init__.py"] == b"x"


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "a/../../evil.py",
        "/etc/passwd",
        "a//b.py",
        "./a.py",
        "a\\b.py",
        "C:/evil.py",
        "evil\n.py",
        "evil\x1b[2J.py",
        "bad-1.0.data/purelib/../../../evil.py",
        "bad-1.0.data/purelib//etc/passwd",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = make_wheel(
        tmp_path,
        "bad",
        raw=[(member(name), b"x")],
        record={name: f'"{name}",{sum_of(b"x")},1'},
    )
    assert "would be unpacked somewhere else" in refusal(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_link_or_a_device_is_refused(tmp_path: Path, kind: int) -> None:
    path = make_wheel(tmp_path, "bad", raw=[(member("bad/link", kind), b"/etc/passwd")])
    assert "'bad/link' is a link or a device" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    twice = make_wheel(tmp_path, "bad", raw=[(member("bad.py"), b"other")])
    assert "'bad.py' is in it twice" in refusal(twice)
    merged = make_wheel(tmp_path, "worse", {"worse.py": "1", "worse-1.0.data/purelib/worse.py": "2"})
    assert "'worse.py' is in it twice" in refusal(merged)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (None, "'bad.py' has no sum in its RECORD"),
        ("bad.py,,", "'bad.py' has no sum in its RECORD"),
        (f"bad.py,{sum_of(b'x', 'md5')},", "'bad.py' has no sum in its RECORD"),
        (f"bad.py,{sum_of(b'x', 'sha1')},", "'bad.py' has no sum in its RECORD"),
        (f"bad.py,{sum_of(b'other')},", "bad.py is not what its RECORD says"),
        ("bad.py,sha256=!!!,", "bad.py is not what its RECORD says"),
        (f"bad.py,{sum_of(b'')},0", "'bad.py' has another size than in its RECORD"),
        ("bad.py", "a line of its RECORD has not three parts"),
    ],
)
def test_a_file_that_is_not_what_record_says_is_refused(tmp_path: Path, line: str | None, said: str) -> None:
    assert said in refusal(make_wheel(tmp_path, "bad", {"bad.py": "true"}, record={"bad.py": line}))


def test_longer_sums_are_as_good(tmp_path: Path) -> None:
    line = f"good.py,{sum_of(b'true', 'sha512')},4"
    assert "good.py" in read(make_wheel(tmp_path, "good", {"good.py": "true"}, record={"good.py": line}))


def test_a_file_that_only_record_has_is_missed(tmp_path: Path) -> None:
    line = {"gone.py": f"gone.py,{sum_of(b'x')},1"}
    assert "'gone.py' is in its RECORD and not in it" in refusal(make_wheel(tmp_path, "bad", record=line))


def test_what_changes_after_it_was_checked_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "bad", {"bad.py": "true"})
    wheel = WheelFile(path)
    make_wheel(tmp_path, "bad", {"bad.py": "evil"})
    with pytest.raises(ConfigurationError, match=r"bad.py is not what its RECORD says"):
        list(wheel.files())


def test_what_it_is_and_what_it_is_called_have_to_agree(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "one")
    other = path.rename(tmp_path / "other-1.0-py3-none-any.whl")
    assert "inside it is one 1.0" in refusal(other)
    other.rename(tmp_path / "one-2.0-py3-none-any.whl")
    assert "inside it is one 1.0" in refusal(tmp_path / "one-2.0-py3-none-any.whl")


def test_a_wheel_of_another_format_is_refused(tmp_path: Path) -> None:
    text = b"Wheel-Version: 2.0\n"
    path = make_wheel(tmp_path, "bad", {"bad-1.0.dist-info/WHEEL": text})
    assert "it is of version 2.0 of the format" in refusal(path)


def test_folders_of_data_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "bad", {"bad-1.0.data/etc/passwd": "x"})
    assert "'bad-1.0.data/etc/passwd' is for no place that is known" in refusal(path)


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_folder_of_metadata(tmp_path: Path, count: int) -> None:
    path = make_wheel(tmp_path, "bad", {"bad.py": "", "more-2.dist-info/METADATA": ""})
    if count == 0:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bad.py", "")
    assert f"it has {count} folders .dist-info, not 1" in refusal(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "bomb", {"bomb.py": "x" * 1000})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.index(b"bomb.py", data.index(b"PK\x01\x02")))
    struct.pack_into("<I", data, at + 24, 0xF0000000)  # the size that the directory claims
    path.write_bytes(data)
    assert "it unpacks to more than 2048 MiB" in refusal(path)


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "bomb", {"bomb.py": "", **{f"{n:03}.py": "" for n in range(50)}})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", data, at + 20, 4000)  # bytes that each claims to be packed in
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)
    assert "its files overlap" in refusal(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_wheels_are_packed_with_is_unpacked(tmp_path: Path, kind: int) -> None:
    path = make_wheel(tmp_path, "bad")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bad/x", "x" * 1000, kind)
    assert "is packed in a way that wheels are not" in refusal(path)


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "bad")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted" in refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "one.whl",
        "one-1.0.whl",
        "one-1.0-py3-none.whl",
        "one-1.0-x-py3-none-any.whl",
        "one 1-1.0-py3-none-any.whl",
        "-1.0-py3-none-any.whl",
        f"one-1.0-{'.'.join(['a'] * 20)}-{'.'.join(['b'] * 20)}-{'.'.join(['c'] * 20)}.whl",
    ],
)
def test_what_is_not_called_as_a_wheel_is_none(name: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_wheel_name(name)


def test_a_wheel_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone-1-py3-none-any.whl: cannot be read: No such file"):
        WheelFile(tmp_path / "gone-1-py3-none-any.whl")
    empty = tmp_path / "empty-1-py3-none-any.whl"
    empty.write_bytes(b"")
    assert "BadZipFile" in refusal(empty)


# --- whatever comes ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    files = {
        "fuzz/__init__.py": "x = 1\n" * 50,
        "fuzz-1.0.data/purelib/y.py": "",
        "fuzz/z.so": b"\x7fELF" * 9,
    }
    return make_wheel(tmp_path_factory.mktemp("fuzz"), "fuzz", files).read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "fuzz-1.0-py3-none-any.whl"


def outcome(place: Path, content: bytes) -> dict[str, bytes] | None:
    """What is read of a damaged wheel, ``None`` if it is refused; nothing else may happen."""
    place.write_bytes(content)
    try:
        return read(place)
    except ConfigurationError:
        return None


@tried(300)
@given(data=st.data())
def test_a_damaged_wheel_is_refused_or_read_as_it_was(data: st.DataObject, whole: bytes, place: Path) -> None:
    good = outcome(place, whole)
    assert good is not None
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    del broken[len(broken) - data.draw(st.sampled_from([0, 0, 0, 1, 22, 100])) :]
    # The sum of the wheel protects RECORD and its neighbours, RECORD all others.
    found = {
        name: content
        for name, content in (outcome(place, bytes(broken)) or {}).items()
        if ".dist-info/" not in name
    }
    assert found.items() <= good.items()


@tried(200)
@given(names=st.lists(st.text(alphabet="ab./\\\0\n :é-", min_size=1, max_size=12), max_size=4, unique=True))
def test_no_name_in_a_wheel_leads_out_of_the_folder(names: list[str], place: Path) -> None:
    path = make_wheel(
        place.parent,
        "fuzz",
        raw=[(member(name), b"x") for name in names],
        record={name: f'"{name}",{sum_of(b"x")},1' for name in names},
    )
    assert path == place
    tree = Tree()
    for name, content in (outcome(place, path.read_bytes()) or {}).items():
        tree.add_file(f"vendor/{name}", content)
    assert all(path == "vendor" or path.startswith("vendor/") for path, _ in tree)
