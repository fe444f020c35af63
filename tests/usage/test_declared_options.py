"""One class declares everything; what cannot be meant is a TypeError when the class is made."""

from __future__ import annotations

import sys
import types
from typing import ClassVar, Literal

import pytest
from optionmodels import Colour, Everything, Quotes, options

from taphouse import usage


def test_values_are_attributes_and_items():
    config = options(Everything, "-p", "1")
    assert config.port == config["port"] == 1
    assert "port" in config and "prot" not in config
    assert list(config)[:2] == ["port", "ratio"] and len(config) == len(list(config))
    with pytest.raises(KeyError):
        config["prot"]


def test_values_can_be_set_and_are_checked_when_they_are():
    config = Everything()
    config.port = 80
    config["timeout"] = "2m"
    assert (config.port, config.timeout) == (80, 120.0)
    with pytest.raises(usage.UsageError, match="port: 70000 is not from 0 to 65535"):
        config.port = 70000
    with pytest.raises(AttributeError, match=r"no option 'prot'; did you mean port\?"):
        config.prot = 1


def test_code_builds_options_that_are_checked_like_any_other():
    assert Everything(port=1, hue=Colour.DARK_BLUE, mode="fast").hue is Colour.DARK_BLUE
    with pytest.raises(usage.UsageError, match="^port: '80' is no whole number$"):
        Everything(port="80")
    with pytest.raises(usage.UsageError, match="^port: True is no whole number$"):
        Everything(port=True)
    with pytest.raises(usage.UsageError, match=r"file: is required: Quotes\(file=...\)"):
        Quotes()
    with pytest.raises(TypeError, match=r"no option 'prot'; did you mean port\?"):
        Everything(prot=1)


def test_every_instance_has_lists_of_its_own():
    one, other = Everything(), Everything()
    one.names.append("x")
    one.numbers.append(3)
    assert (other.names, other.numbers) == ([], [1, 2])


def test_a_subclass_has_the_options_of_its_bases_and_may_change_defaults():
    class Base(usage.Options):
        port: int = usage.option(1, "-p", help="a port", ge=0)
        host: str = usage.option("here")

    class Mixin(usage.Options):
        fast: bool = usage.option(False)

    class Both(Base, Mixin):
        port = 8080
        user: str = usage.option("me")

    class Again(Both):
        host: str = usage.option("there", "-H")

    assert vars(Both()) == {"fast": False, "port": 8080, "host": "here", "user": "me"}
    assert options(Both, "-p", "7").port == 7
    with pytest.raises(usage.UsageError):
        options(Both, "-p", "-7")
    assert options(Again, "-H", "x", "--fast").host == "x"
    assert Base().port == 1


def test_a_default_is_inherited_as_attributes_are():
    class Top(usage.Options):
        port: int = usage.option(1)

    class Changed(Top):
        port = 2

    class Unchanged(Top): ...

    class Both(Unchanged, Changed): ...

    assert Both().port == 2


def test_a_plain_annotation_is_an_option_too():
    class Plain(usage.Options):
        port: int = 80
        host: str
        known: ClassVar[dict[str, int]] = {}
        _inner: int = 3

    assert vars(options(Plain, "--host", "x")) == {"port": 80, "host": "x"}


def test_classes_in_functions_may_name_types_of_the_function():
    Mood = Literal["good", "bad"]

    class Here(usage.Options):
        mood: Mood = usage.option("good")
        list: list[int] = usage.option([])  # a name that is a type's

    assert options(Here, "--mood", "bad", "--list=1").list == [1]


def test_annotations_may_be_text_or_types():
    text = (
        "from taphouse import usage\nclass O(usage.Options):\n"
        "    a: usage.Duration | None = None\n    b: 'list[usage.Size]' = []\n"
    )
    for future in ("", "from __future__ import annotations\n"):
        module = types.ModuleType("a_plugin_of_options")
        sys.modules[module.__name__] = module
        try:
            exec(future + text, vars(module))
        finally:
            del sys.modules[module.__name__]
        assert vars(options(module.O, "--a=2m", "--b", "1k", "--b", "2")) == {"a": 120.0, "b": [1000, 2]}


def test_options_that_were_declared_later_have_their_default_in_old_taps():
    config = Everything()
    del vars(config)["names"], vars(config)["timeout"]
    assert (config.names, config["timeout"]) == ([], 30.0)
    assert usage.to_plan(config) == usage.to_plan(Everything())
    old = Quotes._of({"port": 1})
    with pytest.raises(AttributeError, match="Quotes has no option 'file'"):
        print(old.file)
    with pytest.raises(AttributeError, match=r"no option 'prot'; did you mean port\?"):
        print(config.prot)


def test_post_options_checks_values_against_each_other():
    class Pair(usage.Options):
        low: int = usage.option(1)
        high: int = usage.option(2)

        def post_options(self):
            if self.low > self.high:
                raise usage.UsageError("--low is above --high")

    with pytest.raises(usage.UsageError, match="^--low is above --high$"):
        options(Pair, "--low", "3")
    with pytest.raises(usage.UsageError, match="^--low is above --high$"):
        Pair(low=3)


def test_a_script_parses_its_own_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/x/serve.py", "--name", "a"])
    assert Everything.parse().names == ["a"]
    monkeypatch.setenv("TAPHOUSE_SERVE_PORT", "99")
    assert Everything.parse([]).port == 99
    with pytest.raises(SystemExit) as ended:
        Everything.parse(["--prot", "1"])
    assert ended.value.code == 64
    assert capsys.readouterr().err == "serve.py: unknown option --prot; did you mean --port?\n"


# --- what cannot be declared ----------------------------------------------------------------------

BAD = {
    "x: complex = usage.option(1j)": "complex is no type of an option; it may be int,",
    "x: dict[str, int] = usage.option({})": "no type of an option",
    "x: int | str = usage.option(1)": "no type of an option",
    "x: Nothing = usage.option(1)": "the annotation 'Nothing' means nothing in module",
    "x = usage.option(1)": "needs a type, x: int = usage.option",
    "x: int = usage.option('one')": "its default: 'one' is no whole number",
    "x: list[int] = usage.option({})": "its default: {} is no list",
    "x: list[int] | None = usage.option()": "an empty list says that there is none",
    "x: list[list[int]] = usage.option([])": "a list of such values cannot be given",
    "x: list[bool] = usage.option([])": "a list of such values cannot be given",
    "x: list[usage.Secret] = usage.option([])": "a list of such values cannot be given",
    "x: int | None = usage.option(3)": "what may be None is None by default, not 3",
    "x: usage.Secret = usage.option('sesame')": "a secret has no default",
    "x: str = usage.option('', ge=1)": "ge= means nothing for text",
    "x: int = usage.option(1, pattern='1')": "pattern= means nothing for whole number",
    "x: int = usage.option(1, ge='a')": "ge=: 'a' is no whole number",
    "x: int = usage.option(1, ge=1, gt=0)": "ge= and gt= say the same thing twice",
    "x: int = usage.option(1, le=2**70)": "too large for a bound",
    "x: int = usage.option(1, multiple_of=0)": "only what is above 0 has multiples",
    "x: str = usage.option('', pattern='(')": r"pattern='\('",
    "x: str = usage.option('', max_length=-1)": "max_length=-1 is no length",
    "x: int = usage.option(1, 'x')": "'x' is no flag such as -p or --port",
    "x: int = usage.option(1, '-xy')": "'-xy' is no flag",
    "x: int = usage.option(1, '--y z')": "'--y z' is no flag",
    "x: int = usage.option(1, 5)": "5 is no flag",
    "x: int = usage.option(1, '-x'); y: int = usage.option(1, '-x')": "-x is the flag of x and of y",
    "x: bool = usage.option(False); no_x: int = usage.option(1)": "--no-x is the flag of x and of no_x",
    "x: usage.Secret | None = None; x_file: str = ''": "--x-file is the flag of x and of x_file",
    "help: bool = usage.option(False)": "--help is the flag of help and of help",
    "parse: int = usage.option(1)": "cannot have this name",
    "sub_options: int = usage.option(1)": "cannot have this name",
    "_x: int = usage.option(1)": "cannot have this name",
    "x: Literal[1, '1'] = usage.option(1)": "cannot be told apart",
    "x: Literal[True] = usage.option(True)": "only texts and whole numbers",
    "x: Literal['a'] = usage.option('b')": "its default: 'b' is not one of a",
    "x: bool = usage.argument(False)": "cannot be an argument, make it an option",
    "x: list[str] = usage.argument([]); y: str = usage.argument('')": "x takes all words",
    "x: str = usage.argument(''); y: str = usage.argument()": "y is required, so x before it has to be, too",
    "x: list[str] = usage.argument(['a'])": "its default is none",
    "x: str = usage.argument(''); y = usage.command(Quotes)": "before a command there can only be required",
    "y = usage.command(int)": "is no class derived from taphouse.usage.Options",
    "optFlags = [['x', 'y', 'z']]": "optFlags is a spelling of 2002; write name: bool = usage.option",
    "optParameters = []": "write name: type = usage.option",
    "subCommands = []": "write name = usage.command",
    "opt_verbose = lambda self: 0": "opt_verbose is a spelling of 2002; write verbose: type = usage.option",
    "postOptions = lambda self: 0": "write def post_options",
    "parseArgs = lambda self: 0": "usage.argument",
    "parseOptions = lambda self: 0": r"write Options.parse\(argv\)",
}


@pytest.mark.parametrize("body", BAD)
def test_what_cannot_be_meant_is_refused_when_the_class_is_made(body):
    program = f"class Bad(usage.Options):\n    {body}\n"
    code = compile(program, "bad.py", "exec", dont_inherit="Nothing" not in body)
    with pytest.raises(TypeError, match=BAD[body]) as caught:
        exec(code, {"usage": usage, "Literal": Literal, "Quotes": Quotes, "__name__": "bad"})
    assert "\n" not in str(caught.value)


def test_the_error_names_the_class_and_the_attribute():
    with pytest.raises(TypeError, match=r"Bad\.x: its default"):

        class Bad(usage.Options):
            x: int = usage.option("one")


def test_a_default_outside_of_its_limits_is_refused_when_it_is_used():
    class Far(usage.Options):
        port: int = usage.option(70000, le=65535)

    with pytest.raises(
        usage.UsageError, match="^the default of --port: 70000 is not at most 65535; give --port"
    ):
        options(Far)
    assert options(Far, "--port=1").port == 1


def test_nothing_heavy_is_imported_to_declare():
    import subprocess

    code = (
        "import sys\nfrom taphouse import usage\nclass O(usage.Options):\n"
        "    port: int = usage.option(1, '-p', ge=0)\n    t: usage.Duration = usage.option('1s')\n"
        "heavy = ('click', 'tomllib', 'msgspec', 'argparse', 'getpass')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
