"""The scripts are what their headers say, and each has one caller."""

import ast
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from broker.errors import CODES, StartError
from broker.store.redis import scripts
from broker.store.task_fields import TaskFields
from tests.stores import flags_of, looking_into

ROOT = Path(__file__).parents[2]
LUA = ROOT / "lua"
SCRIPTS = sorted(path for path in LUA.glob("*/*.lua") if path.parent.name != "include")
FUNCTION = re.compile(r"^local function (\w+)\(.*?\n(.*?)^end$", re.MULTILINE | re.DOTALL)
STEP = re.compile(
    r"redis\.p?call\('(?P<command>\w+)'|(?P<refuse>redis\.error_reply)|'[^']*'|(?<![.\w])(?P<name>[a-z_]\w*)"
)
HEADER = re.compile(r"\A--\[\[ (?P<name>\w+): (?P<what>.+?)\n\]\]\n(?P<body>.*)\Z", re.DOTALL)


def header_and_body(path: Path) -> tuple[str, str]:
    match = HEADER.match(path.read_text())
    assert match, f"{path.name} has no header"
    assert match["name"] == path.stem
    return match["what"], match["body"]


def field(header: str, name: str) -> str:
    match = re.search(rf"^  {name}\s+(.*?)(?=\n  \S|\Z)", header, re.MULTILINE | re.DOTALL)
    assert match, f"no {name} in the header"
    return " ".join(match[1].split())


def loaded() -> Mapping[str, scripts.Script]:
    return scripts.load(LUA)


def with_includes(path: Path) -> str:
    """Without the scripts that it calls: they are looked at by themselves."""
    source = re.sub(r" *--\[\[.*?\]\]", "", loaded()[path.stem].source, flags=re.DOTALL)
    return re.sub(r"^local function \w+\(KEYS, ARGV\)\n.*?^end$", "", source, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_header_names_the_keys_arguments_answer_refusals_and_cost(path: Path) -> None:
    header, _ = header_and_body(path)
    source = with_includes(path)

    named = re.findall(r"^  ((?:KEYS|ARGV)\[\d+\+?\])", header, re.MULTILINE)
    assert named[:2] == ["KEYS[1]", "KEYS[2]"]
    assert field(header, r"KEYS\[1\]").startswith(("broker:{directory}", "broker:{project:P}"))
    arguments = [int(re.sub(r"\D", "", name)) for name in named[2:]]
    assert arguments == list(range(1, len(arguments) + 1))
    open_ended = any(name.endswith("+]") for name in named)

    used = {int(n) for n in re.findall(r"ARGV\[(\d+)\]", source)}
    assert used <= set(arguments), "the body uses an argument that the header does not name"
    if open_ended:
        assert named[-1].endswith("+]")
        assert re.search(r"ARGV(?!\[)", source), "the header says + but the body takes no list"
    else:
        assert used == set(arguments), "the header names an argument that the body does not use"
    assert field(header, "Returns")
    assert field(header, "Cost").startswith("O(")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_refuses_what_its_header_says_with_codes_that_clients_know(path: Path) -> None:
    header, _ = header_and_body(path)
    said = field(header, "Refuses")

    source = with_includes(path)
    codes = set(re.findall(r"['(]([A-Z][A-Z_]+) [a-zA-Z]+", source)) - {"DEL"}
    codes |= set(re.findall(r"'(RATE_LIMITED) ", source))

    assert codes == (set() if said == "nothing" else set(said.split(", ")))
    assert {code.lower() for code in codes} <= set(CODES)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_that_reads_the_clock_takes_it_as_an_argument(path: Path) -> None:
    header, body = header_and_body(path)
    clocks = re.findall(r"clock\((.*?)\)", body)

    assert "'TIME'" not in body
    assert ("now, unix ms; '' outside tests" in header) is bool(clocks or "given_now" in body)
    assert all(re.fullmatch(r"ARGV\[\d\]|given_now", argument) for argument in clocks)


@pytest.fixture(scope="module")
def flags(redis_url: str) -> dict[str, set[str]]:
    """Of each command that a script calls."""
    source = "".join(with_includes(path) for path in SCRIPTS)
    commands = sorted(set(re.findall(r"redis\.p?call\('(\w+)'", source)))
    assert len(re.findall(r"redis\.p?call", source)) == len(re.findall(r"redis\.p?call\('[A-Z]+'", source))
    with looking_into(redis_url) as redis:
        return flags_of(redis, commands)


def steps(source: str) -> list[str]:
    """The commands that a joined script calls, and REFUSE where it may refuse, in the order of the text.

    What a function does comes where the function is named.
    """
    source = re.sub(r"--.*", "", source)
    functions = dict(FUNCTION.findall(source))

    def walk(text: str, within: frozenset[str]) -> Iterator[str]:
        for step in STEP.finditer(text):
            if step["command"]:
                yield step["command"]
            elif step["refuse"]:
                yield "REFUSE"
            elif step["name"] in functions and step["name"] not in within:
                yield from walk(functions[step["name"]], within | {step["name"]})

    return list(walk(FUNCTION.sub("", source), frozenset()))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_checks_come_before_the_first_write(path: Path, flags: dict[str, set[str]]) -> None:
    done = steps(with_includes(path))
    writes = [n for n, step in enumerate(done) if "write" in flags.get(step, ())]

    if writes:
        assert "REFUSE" not in done[writes[0] :]


def test_scripts_that_make_something_new_and_no_others_begin_with_a_write_that_a_full_server_refuses(
    flags: dict[str, set[str]],
) -> None:
    begin: dict[str, str] = {}
    for path in SCRIPTS:
        writes = [step for step in steps(with_includes(path)) if "write" in flags.get(step, ())]
        begin |= {path.stem: writes[0]} if writes else {}

    said = re.search(
        r"refused at maxmemory, so nothing is done:\n(.*?)\n\n", (LUA / "README.md").read_text(), re.DOTALL
    )
    assert said
    refused = {name for name, first in begin.items() if "denyoom" in flags[first]}
    assert refused == set(re.findall(r"`(\w+)`", said[1]))


def test_a_script_that_says_so_changes_nothing(flags: dict[str, set[str]]) -> None:
    saying = [path for path in SCRIPTS if "Changes nothing" in header_and_body(path)[0]]

    assert saying
    for path in saying:
        assert not any("write" in flags.get(step, ()) for step in steps(with_includes(path)))


def test_the_steps_of_a_script_are_seen_through_its_functions() -> None:
    source = """
local function late(base)
  redis.call('ZPOPMIN', base)
end

local function early()
  return redis.error_reply('NOT_FOUND late')
end

local take = early and late -- redis.call('DEL', KEYS[1])
redis.call('GET', KEYS[1], 'late', x.late)
take()
early()
"""

    assert steps(source) == ["REFUSE", "ZPOPMIN", "GET", "REFUSE"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs_on_every_server(path: Path) -> None:
    source = with_includes(path)

    assert not re.search(r"\b(bit|cmsgpack|cjson|struct)\.", source)
    assert "#!lua" not in source
    assert not re.search(r"redis\.call\('KEYS'", source)
    assigned = re.findall(r"^ *(?! |for )([\w, ]+?) = ", source, re.MULTILINE)
    local = re.findall(r"\blocal (?:function )?([\w, ]+)", source)
    globals_made = names(*assigned) - names(*local) - names(*re.findall(r"\bfunction(?: \w+)?\(([\w, ]*)\)", source))
    assert not globals_made
    assert not re.search(r"^function", source, re.MULTILINE)


def names(*lists: str) -> set[str]:
    return {name.removeprefix("local ").strip() for some in lists for name in some.split(",")}


def test_each_script_is_called_by_one_coroutine() -> None:
    called: list[str] = []
    for path in (ROOT / "broker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("calls.call"):
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: a script without its name"
                called.append(str(name.value))

    assert sorted(called) == sorted(path.stem for path in SCRIPTS)


@pytest.mark.skipif(shutil.which("luacheck") is None, reason="luacheck is not installed")
def test_no_script_uses_a_name_that_neither_it_nor_its_includes_define(tmp_path: Path) -> None:
    for script in loaded().values():
        (tmp_path / f"{script.name}.lua").write_text(script.source)

    # 113: a global that nobody has defined.
    options = "--no-config --std lua51 --globals redis KEYS ARGV --only 113 --"
    command = ["luacheck", *options.split(), str(tmp_path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert checked.returncode == 0, checked.stdout


def test_only_one_module_sends_scripts() -> None:
    speaking = {path.name for path in (ROOT / "broker").rglob("*.py") if "EVAL" in path.read_text()}

    assert speaking == {"scripts.py"}


def test_every_key_of_the_scripts_is_in_the_table() -> None:
    table = (LUA / "README.md").read_text()
    keys = set()
    for path in LUA.rglob("*.lua"):
        keys |= set(re.findall(r"base \.\. '(:[a-z-]+)", path.read_text()))

    assert keys
    for key in keys:
        assert f"`{key}" in table, f"{key} is not in lua/README.md"


def write(folder: Path, files: dict[str, str]) -> Path:
    (folder / "include").mkdir()
    (folder / "tasks").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_an_include_is_joined_once(tmp_path: Path) -> None:
    place = write(
        tmp_path,
        {
            "tasks/go.lua": '--- @include "a"\n--- @include "b"\nreturn 1\n',
            "include/a.lua": "local a = 1\n",
            "include/b.lua": '--- @include "a"\nlocal b = 2\n',
        },
    )

    assert scripts.load(place)["go"].source.split() == ["local", "a", "=", "1", "local", "b", "=", "2", "return", "1"]


def test_an_include_in_a_branch_is_joined_once_and_counts_to_the_end_of_the_branch(tmp_path: Path) -> None:
    go = """
--- @include "a"
if x then
  --- @include "b"
  if y then
    --- @include "b"
  end
elseif z then
  --- @include "b"
end
--- @include "b"
return 1
"""
    place = write(
        tmp_path,
        {
            "tasks/go.lua": go,
            "include/a.lua": "local a = 1\n",
            "include/b.lua": '--- @include "a"\nlocal b = 2\n',
        },
    )

    source = scripts.load(place)["go"].source

    assert [line for line in source.splitlines() if line] == [
        *("local a = 1", "if x then", "  local b = 2", "  if y then", "  end", "elseif z then", "  local b = 2", "end"),
        *("local b = 2", "return 1"),
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_no_include_is_joined_into_a_script_again_and_again(path: Path) -> None:
    # Redis keeps all scripts compiled, and its garbage collector walks through them all the time.
    functions = Counter(re.findall(r"local function (\w+)", with_includes(path)))

    assert max(functions.values(), default=0) <= 3


def test_a_missing_include_stops_the_start(tmp_path: Path) -> None:
    place = write(tmp_path, {"tasks/go.lua": '--- @include "gone"\n'})

    with pytest.raises(StartError, match=r"go\.lua includes gone\.lua, which is missing"):
        scripts.load(place)


def test_a_circular_include_stops_the_start(tmp_path: Path) -> None:
    place = write(
        tmp_path,
        {
            "tasks/go.lua": '--- @include "a"\n',
            "include/a.lua": '--- @include "b"\n',
            "include/b.lua": '--- @include "a"\n',
        },
    )

    with pytest.raises(StartError, match="circular include: go -> a -> b -> a"):
        scripts.load(place)


def lua_list(include: str, name: str) -> list[str]:
    source = re.sub(r"--.*", "", (LUA / "include" / f"{include}.lua").read_text())
    match = re.search(rf"^local {name} = {{(.*?)}}", source, re.MULTILINE | re.DOTALL)
    assert match, f"{include}.lua has no list {name}"
    return re.findall(r"'([^']*)'", match[1])


def test_a_task_has_the_same_fields_in_lua_and_in_python() -> None:
    numbers = {name: default for name, default in TaskFields._field_defaults.items() if isinstance(default, int)}
    parsing, reading = ((LUA / "include" / f"{name}.lua").read_text() for name in ("task", "read_record"))

    matched = re.search(r"local created, hash, (.*), counts, group, newline, recipe_at =\n", parsing)
    assert matched
    assert matched[1].split(", ") == list(numbers)
    returned = re.search(r"return (created, .*)\n", parsing)
    assert returned
    assert f"local {returned[1]} =\n    parse_record(record)" in reading
    defaults = re.findall(r"^    (\w+) = tonumber\(\1\) or (\d+),$", reading, re.MULTILINE)
    assert {name: int(default) for name, default in defaults} == numbers | {"retries": 0, "reclaims": 0, "round": 1}
