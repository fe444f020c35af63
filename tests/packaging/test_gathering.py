"""What a server needs is found in what is installed, and only what it needs is copied."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import tried, write_out

from taphouse.errors import ConfigurationError
from taphouse.packaging import (
    Environment,
    Tree,
    add_distribution,
    add_module,
    compiled_files,
    counts,
    find_build_paths,
    marker_values,
    parse_requirement,
    python_dependency,
    split_modules,
)


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(self, name: str, *requires: str, record: bool = True, **files: str) -> None:
        """Install a distribution; ``files`` are modules by name, dots are slashes."""
        info = f"{name}-1.0.dist-info"
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n"]
        lines += [f"Requires-Dist: {line}\n" for line in requires]
        written = {
            f"{info}/METADATA": "".join(lines),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n",
            f"{info}/licenses/LICENSE": "Do what you want.\n",
            f"{info}/entry_points.txt": "",
            f"{info}/INSTALLER": "pip\n",
            **{path.replace("__DOT__", "."): text for path, text in files.items()},
        }
        listed = []
        for path, text in written.items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            listed.append(f"{path},sha256={digest},{len(text)}\n")
        listed.append(f"{info}/RECORD,,\n")
        if record:
            (self.folder / info / "RECORD").write_text("".join(listed))

    @property
    def environment(self) -> Environment:
        return Environment([str(self.folder)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site-packages")


def names(environment: Environment, *wanted: str) -> list[str]:
    return [found.metadata["Name"] for found in environment.closure(wanted)]


# --- what is needed -----------------------------------------------------------------------------


def test_what_is_needed_is_followed_to_its_end(site: Site) -> None:
    site.install("web", "Core_Thing>=1", 'old; python_version < "3.0"', 'fast; extra == "speed"')
    site.install("core.thing", "web", "leaf (>=1,<2)")
    site.install("leaf")
    site.install("fast", "faster[most] @ https://example.org/x.whl")
    site.install("faster", "leaf; extra == 'most'")
    assert names(site.environment, "Web") == ["core.thing", "leaf", "web"]
    assert names(site.environment, "web[SPEED]") == ["core.thing", "fast", "faster", "leaf", "web"]


def test_what_is_missing_is_told_with_who_needs_it(site: Site) -> None:
    site.install("web", "gone>=1")
    with pytest.raises(
        ConfigurationError, match="web needs gone, which is not installed; .*pip install gone"
    ):
        site.environment.closure(["web"])
    with pytest.raises(ConfigurationError, match="^nothing is not installed"):
        site.environment.closure(["nothing"])
    with pytest.raises(ConfigurationError, match="^nothing is not installed"):
        site.environment.get("nothing")


def test_of_two_with_one_name_the_first_on_the_path_counts(tmp_path: Path, site: Site) -> None:
    other = Site(tmp_path / "other")
    other.install("web", "gone")
    site.install("web")
    assert len(Environment([str(site.folder), str(other.folder)]).closure(["web"])) == 1


def test_modules_are_told_apart_by_who_brings_them(site: Site) -> None:
    site.install("web", **{"webby/__init__.py": "", "space/one.py": "", "../../bin/web": ""})
    site.install("more", **{"space/two.py": "", "single.py": ""})
    found = split_modules(
        ["webby.inner", "space.one", "single", "json.decoder", "otk", "__main__"], site.environment
    )
    assert found == (["more", "web"], ["otk"])


# --- markers ------------------------------------------------------------------------------------

VALUES = {
    **marker_values(),
    "python_version": "3.11",
    "python_full_version": "3.11.7",
    "sys_platform": "linux",
}
versions = st.sampled_from(["3.9", "3.10", "3.11", "3.11.0", "3.11.7", "3.12", "3.2.1"])
comparisons = st.one_of(
    st.builds(
        lambda variable, sign, literal: f"{variable} {sign} '{literal}'",
        st.sampled_from(["python_version", "python_full_version"]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~=", "in", "not in"]),
        versions,
    ),
    st.builds(lambda sign, literal: f'"{literal}" {sign} python_version', st.sampled_from("<>"), versions),
    st.builds(
        "python_version {} '{}.*'".format, st.sampled_from(["==", "!="]), st.sampled_from(["3", "3.1"])
    ),
    st.builds(
        lambda variable, sign, literal: f'{variable} {sign} "{literal}"',
        st.sampled_from(["sys_platform", "os_name", "platform_system"]),
        st.sampled_from(["==", "!=", "in", "not in"]),
        st.sampled_from(["linux", "win32", "posix", "posix nt", "Linux"]),
    ),
    st.builds("extra {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["web", "WEB", "x"])),
)
markers = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["and", "or"]), inner
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("marker", "extra", "found"),
    [
        ("", "", True),
        ('python_version >= "3.9"', "", True),
        ("python_version<'3.10'", "", False),
        ('python_version < "3.9" and sys_platform == "linux" or extra == "web"', "", False),
        ('python_version < "3.9" and sys_platform == "linux" or extra == "web"', "web", True),
        ('python_version < "3.9" and (sys_platform == "linux" or extra == "web")', "web", False),
        ('extra == "Web_Server"', "web-server", True),
        ("python_full_version ~= '3.11.0'", "", True),
        ("python_full_version ~= '3.10.0'", "", False),
        ("python_version == '3.*'", "", True),
        ("'linux' in sys_platform", "", True),
        ("sys_platform not in 'win32 cygwin'", "", True),
        ("sys.platform == 'linux'", "", True),
    ],
)
def test_a_marker_decides_what_counts_here(marker: str, extra: str, found: bool) -> None:
    assert counts(marker, extra, VALUES) is found


@given(markers, st.sampled_from(["", "web"]))
@tried(150)
def test_markers_mean_what_they_mean_to_pip(marker: str, extra: str) -> None:
    reference = pytest.importorskip(
        "packaging.markers", reason="NOT RUN: the library packaging is not installed"
    )
    expected = reference.Marker(marker).evaluate({**VALUES, "extra": extra})
    assert counts(marker, extra, VALUES) == expected


@pytest.mark.parametrize(
    "marker", ["python_version", "x == '1'", "'a' ==", "(python_version > '3'", "os_name = 'x'", "a b c",
               "'a' 'b' 'c'", "(" * 60 + "os_name == 'posix'" + ")" * 60, "os_name == 'posix' os_name",
               "os_name not 'x'", "os_name ~= 'posix'"]
)  # fmt: skip
def test_what_is_no_marker_is_refused(marker: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        counts(marker, "", VALUES)


def test_a_requirement_is_taken_apart() -> None:
    found = parse_requirement(' Uv-icorn [standard, A_b] (>=1,<2) ; python_version > "3"')
    assert (found.name, found.extras, found.marker) == (
        "Uv-icorn",
        frozenset({"standard", "a-b"}),
        'python_version > "3"',
    )
    with pytest.raises(ConfigurationError, match="requirement '-x' cannot be understood"):
        parse_requirement("-x")


# --- what is copied -----------------------------------------------------------------------------


def test_a_distribution_is_copied_without_what_nobody_runs(site: Site) -> None:
    files = {
        "web/__init__.py": "x = 1\n",
        "web/tool.py": "#!/home/me/venv/bin/python\n# coding: utf-8\nprint()\n",
        "web/data.txt": "#!kept\n",
        "web/fast.pyx": "", "web/fast.c": "", "web/py.typed": "", "web/stub.pyi": "",
        "web/__pycache__/x.pyc": "", "web.pth": "import web\n", "../../../bin/web": "#!/x\n",
    }  # fmt: skip
    site.install("web", **files)
    tree = Tree()
    part = add_distribution(tree, "usr/lib/otk/vendor", site.environment.get("web"))
    assert sorted(path.removeprefix("usr/lib/otk/vendor/") for path, node in tree if node.is_file) == [
        "web-1.0.dist-info/METADATA",
        "web-1.0.dist-info/WHEEL",
        "web-1.0.dist-info/entry_points.txt",
        "web/__init__.py",
        "web/data.txt",
        "web/tool.py",
    ]
    assert tree["usr/lib/otk/vendor/web/tool.py"].content == b"#\n# coding: utf-8\nprint()\n"
    assert (part.name, part.version, part.license) == ("web", "1.0", "MIT")
    assert part.texts == (("LICENSE", "Do what you want.\n"),)
    assert part.tags == ("py2-none-any", "py3-none-any")


def test_an_editable_installation_is_refused_with_the_cure(site: Site) -> None:
    site.install("one", **{"__editable___one_finder.py": ""})
    site.install(
        "two", **{"two-1.0.dist-info/direct_url.json": '{"dir_info": {"editable": true}, "url": "x"}'}
    )
    for name in ("one", "two"):
        with pytest.raises(ConfigurationError, match=rf"^{name} is installed as editable.*pip install \. "):
            add_distribution(Tree(), "x", site.environment.get(name))


def test_what_pip_has_not_installed_is_refused(site: Site) -> None:
    site.install("web", record=False)
    with pytest.raises(ConfigurationError, match="web has no list of its files.*virtual environment"):
        add_distribution(Tree(), "x", site.environment.get("web"))


def test_a_file_that_was_changed_since_is_noticed(site: Site) -> None:
    site.install("web", **{"web.py": "x = 1\n"})
    (site.folder / "web.py").write_text("x = 2\n")
    with pytest.raises(ConfigurationError, match=r"web\.py: is not what was installed; install web again"):
        add_distribution(Tree(), "x", site.environment.get("web"))
    (site.folder / "web.py").unlink()
    with pytest.raises(ConfigurationError, match=r"web\.py: cannot be read"):
        add_distribution(Tree(), "x", site.environment.get("web"))


def test_distributions_may_share_a_namespace_but_no_file(site: Site) -> None:
    site.install("one", **{"space/__init__.py": "", "space/one.py": "1"})
    site.install("two", **{"space/__init__.py": "", "space/two.py": "2"})
    tree = Tree()
    for name in ("one", "two"):
        add_distribution(tree, "x", site.environment.get(name))
    assert "x/space/two.py" in tree
    other = Site(site.folder.parent / "other")
    other.install("three", **{"space/one.py": "3"})
    with pytest.raises(ConfigurationError, match=r"x/space/one\.py: two things"):
        add_distribution(tree, "x", other.environment.get("three"))


def test_code_that_was_never_installed_is_copied_as_it_lies(tmp_path: Path) -> None:
    for name in (
        "pack/__init__.py",
        "pack/inner/data.bin",
        "pack/.env",
        "pack/.git/x",
        "pack/__pycache__/x.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/x\n1\n")
    (tmp_path / "single.py").write_text("raise AssertionError('it ran')\n")
    tree = Tree()
    for module in ("pack", "single"):
        add_module(tree, "app", module, [str(tmp_path)])
    assert sorted(path for path, node in tree if node.is_file) == [
        "app/pack/__init__.py",
        "app/pack/inner/data.bin",
        "app/single.py",
    ]
    assert tree["app/pack/__init__.py"].content == b"#\n1\n"
    with pytest.raises(ConfigurationError, match="module gone is not found"):
        add_module(tree, "app", "gone", [str(tmp_path)])


def test_a_pipe_among_the_code_is_refused(tmp_path: Path) -> None:
    import os

    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    os.mkfifo(tmp_path / "pack" / "pipe")
    with pytest.raises(ConfigurationError, match="pack/pipe: is not a file that can be shipped"):
        add_module(Tree(), "app", "pack", [str(tmp_path)])


def test_folders_of_the_building_machine_are_found_in_texts() -> None:
    tree = Tree()
    tree.add_file("a.py", "x = '/home/me/venv/lib'\n")
    tree.add_file("b.py", "x = '/home/me/venvs'\n")
    tree.add_file("c.so", b"\0/home/me/venv/lib")
    assert find_build_paths(tree, ["/home/me/venv/", "/usr"]) == [
        "/a.py: names /home/me/venv, a folder of the machine it was made on"
    ]
    assert find_build_paths(tree, ["/usr", "/"]) == []


# --- with what is really installed --------------------------------------------------------------


def test_real_wheels_run_from_the_package_alone(tmp_path: Path) -> None:
    environment = Environment()
    closure = environment.closure(["fastapi", "uvicorn", "uvloop"])
    found = {item.metadata["Name"].lower() for item in closure}
    assert found >= {"fastapi", "pydantic", "pydantic_core", "starlette", "uvicorn", "h11", "click", "uvloop"}
    assert "pytest" not in found
    tree = Tree()
    parts = [add_distribution(tree, "vendor", item) for item in closure]
    assert find_build_paths(tree, [sys.prefix]) == []
    assert all(part.texts for part in parts if part.name in {"uvloop", "click", "h11"})
    tags = [tag for part in parts for tag in part.tags]
    version = f"python3.{sys.version_info[1]}"
    assert python_dependency(tags)[0] == version
    assert compiled_files(tree)
    write_out(tree, tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'vendor')!r}); import fastapi, uvicorn, uvloop\n"
        "import importlib.metadata; print(uvloop.__file__, importlib.metadata.version('fastapi'))"
    )
    done = subprocess.run([sys.executable, "-ISB", "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith(str(tmp_path))
