"""A machine of workers has the client and its commands, but none of the server's packages."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement

from broker.api.bodies import SubmitTask
from broker.cli import COMMANDS
from broker.cli.submit import Line
from broker.hashes import hash64, slow_siphash
from tests.client import Fleet

ROOT = Path(__file__).parents[2]

OF_THE_CLIENT = {"worker", "submit", "tasks", "status", "demo", "groups", "why", "project", "access", "token"}

Alone = Callable[..., "subprocess.CompletedProcess[str]"]


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The package and all that pip installs for it."""
    if name not in found:
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name.lower(), found)
    return found


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    """Runs a program where nothing is installed but what ``pip install task-broker`` brings."""
    packages = tmp_path / "packages"
    packages.mkdir()
    # The installed metadata of task-broker itself may be older than pyproject.toml.
    for one in (needed("httpx", {}) | needed("msgspec", {}) | needed("sniffio", {})).values():
        for top in {file.parts[0] for file in one.files or () if file.parts[0] != ".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(one.locate_file(top)))
    (packages / "broker").symlink_to(ROOT / "broker")
    start = f"import sys; sys.path.insert(0, {str(packages)!r}); "

    def run(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-I", "-S", "-c", start + code, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    return run


def broker(alone: Alone, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return alone("from broker.cli import main; sys.exit(main())", *arguments)


def test_pip_installs_three_packages_for_the_client() -> None:
    asked = {Requirement(line).name for line in distribution("task-broker").requires or () if "extra ==" not in line}

    assert asked == {"httpx", "msgspec", "sniffio"}


def test_the_client_imports_no_module_of_the_server(alone: Alone) -> None:
    done = alone("import broker.client; print([name for name in sys.modules if name.startswith('broker')])")

    loaded = [name for name in eval(done.stdout) if not name.startswith("broker.client")]
    assert loaded == ["broker", "broker.hashes"]


def test_the_commands_of_workers_run(alone: Alone, fleet: Fleet, tmp_path: Path) -> None:
    project = fleet.project()
    (tmp_path / "lines").write_text('{"recipe": "a", "priority": 3}\n{"recipe": "b"}\n')
    (tmp_path / "bad").write_text('{"recipe": "a", "priority": 40000}\n')

    created = broker(alone, "worker", "create", "--project", project, "--submit", "--json", "--url", fleet.url)
    worker = json.loads(created.stdout)["id"]
    fleet.admin.post(f"/project/accept_request/{project}/{worker}").content()
    submit = ("--project", project, "--jsonl", "--url", fleet.url)
    submitted = broker(alone, "submit", "lines", *submit)
    refused = broker(alone, "submit", "bad", *submit)
    shown = broker(alone, "status", "--url", fleet.url)

    assert submitted.stdout == "2 submitted, 0 duplicates\n"
    assert refused.stderr.startswith("broker: line 1: Expected `int` <= 32767")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert broker(alone, "demo", "--help").returncode == 0


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - OF_THE_CLIENT))
def test_a_command_that_needs_the_server_says_so_in_a_line(alone: Alone, command: str) -> None:
    done = broker(alone, command, "--an-option")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"broker: broker {command} needs the server's packages (")
    assert done.stderr.endswith(" is missing): pip install 'task-broker[server]'\n")


def test_all_commands_are_listed(alone: Alone) -> None:
    done = broker(alone, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in COMMANDS)


def test_a_line_of_a_file_may_say_what_the_broker_takes() -> None:
    """The bounds stand twice: the client imports nothing of the server."""

    def bounds(kind: type) -> dict[str, object]:
        (found,) = msgspec.json.schema(kind)["$defs"].values()
        return {name: field["anyOf"] for name, field in found["properties"].items()}

    assert bounds(Line) == bounds(SubmitTask)


def test_the_hash_is_the_same_without_the_package_that_computes_it(alone: Alone) -> None:
    texts = ["", "test", "x" * 7, "x" * 8, "http://a.example/\u00e9", "x" * 255, "x" * 256, "x" * 3000]

    done = alone("from broker.client import hash64; print([hash64(text) for text in eval(sys.argv[1])])", repr(texts))

    assert eval(done.stdout) == [hash64(text) for text in texts]
    # The first of the vectors that the authors publish.
    assert slow_siphash(bytes(range(16)), b"") == 0x726FDB47DD0E0E31
