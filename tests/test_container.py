"""The commands of the Dockerfile run here as they stand, and compose.yaml is compared with what the broker needs.

No image is built: pip installs into an empty environment, and everything runs as an ordinary user, as in the image.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from redis import Redis
from redis.exceptions import AuthenticationError

from broker.settings import Settings
from broker.store.check import check
from broker.store.redis.embedded import binary
from tests.servers import until_it_answers
from tests.serving import free_port, until

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", (ROOT / "compose.yaml").read_text()))
"""With the defaults of its variables."""

BROKER, REDIS = COMPOSE["services"]["broker"], COMPOSE["services"]["redis"]


def dockerfile() -> list[tuple[str, str]]:
    """Each instruction and what comes after it."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def instruction(name: str, has: str = "") -> str:
    """The only one of this name that has this in it."""
    (found,) = [rest for word, rest in dockerfile() if word == name and has in rest]
    return found


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(instruction("ENV")))


def flags(command: list[str]) -> dict[str, str]:
    return {name.removeprefix("--"): value for name, value in zip(command[1::2], command[2::2], strict=True)}


@contextmanager
def redis_of_compose(folder: Path) -> Iterator[str]:
    """The server with compose.yaml's own flags, on a port of this machine; its URL as compose.yaml has it."""
    program, *options = REDIS["command"]
    port = free_port()
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    server = subprocess.Popen([shutil.which(program) or binary(), *options, *where], stdout=subprocess.DEVNULL)
    url = re.sub("@.*?/", f"@127.0.0.1:{port}/", BROKER["environment"]["BROKER_REDIS_URL"])
    try:
        until_it_answers(url)
        yield url
    finally:
        server.terminate()
        server.wait(10)


async def test_the_broker_has_nothing_to_say_against_the_redis_of_compose(tmp_path: Path) -> None:
    with redis_of_compose(tmp_path) as url:
        warnings, _ = await check(Settings(redis_url=url))

    assert warnings == []
    given = flags(REDIS["command"])
    assert (given["appendonly"], given["maxmemory-policy"]) == ("yes", "noeviction")
    assert given["hash-max-listpack-value"] == "1024"
    # A failed snapshot, besides the append-only file, would stop all writes.
    assert given["save"] == ""


def test_the_tasks_are_in_a_volume_that_outlives_the_containers() -> None:
    (volume,) = REDIS["volumes"]
    name, path = volume.split(":")

    assert name in COMPOSE["volumes"]
    assert path == "/data"


def test_the_broker_finds_the_redis_by_its_service_and_waits_until_it_is_healthy() -> None:
    host = re.match("redis://:[^@]+@([^:/]+):6379/", BROKER["environment"]["BROKER_REDIS_URL"])

    assert host is not None
    assert COMPOSE["services"][host[1]] is REDIS
    assert BROKER["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert REDIS["healthcheck"]["test"][:2] == ["CMD", "redis-cli"]
    assert "ports" not in REDIS


def test_the_redis_refuses_clients_without_its_password(tmp_path: Path) -> None:
    with redis_of_compose(tmp_path) as url:
        with Redis.from_url(re.sub("//.*@", "//", url)) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        with Redis.from_url(re.sub("//.*@", f"//:{REDIS['environment']['REDISCLI_AUTH']}@", url)) as health_check:
            assert health_check.ping()


def locked(name: str) -> dict[str, tuple[SpecifierSet, list[str]]]:
    """What a lock file pins, and the hashes, by the name; a package may have several versions, for several Pythons."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, tuple[SpecifierSet, list[str]]] = {}
    for line in text.splitlines():
        words, hashes = line.partition(" --hash=")[0], re.findall("--hash=sha256:([0-9a-f]{64})(?= |$)", line)
        requirement = Requirement(words)
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = requirement.specifier, hashes
    return found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_each_package_by_its_hash_and_names_no_registry(name: str) -> None:
    for specifier, hashes in locked(name).values():
        assert str(specifier).startswith("==")
        assert hashes
    assert not re.search("index|://|find-links", (ROOT / name).read_text())


def test_the_locks_have_what_pyproject_asks_for_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")

    for asked, lock in (
        ([*project["dependencies"], *extras["server"], *extras["build"]], run),
        ([*project["dependencies"], *(one for extra in extras.values() for one in extra)], dev),
    ):
        for requirement in map(Requirement, asked):
            if requirement.name == project["name"]:
                continue  # an extra that has another one in it
            pinned = str(lock[canonicalize_name(requirement.name)][0]).removeprefix("==")
            assert requirement.specifier.contains(pinned), requirement
    assert {name: dev[name] for name in run} == run


def test_what_is_installed_is_what_the_lock_pins() -> None:
    for name, (specifier, _) in locked("requirements-dev.lock").items():
        assert specifier.contains(version(name)), name


def test_the_image_installs_nothing_but_what_the_lock_pins() -> None:
    install = instruction("RUN", has="pip install").split("&&")

    assert "--require-hashes --requirement /src/requirements.lock" in install[0]
    assert '--no-deps --no-build-isolation "/src[server]"' in install[1]


def test_every_variable_of_compose_is_a_setting() -> None:
    assert Settings.read(BROKER["environment"]).workers >= 1
    assert set(BROKER["environment"]) <= set(Settings().environment())


def test_the_port_that_compose_publishes_is_the_one_the_image_listens_on_and_only_this_machine_sees_it() -> None:
    (published,) = BROKER["ports"]
    environment = image_environment()

    assert published.split(":")[0] == "127.0.0.1"
    assert published.split(":")[-1] == environment["BROKER_PORT"] == instruction("EXPOSE")
    assert environment["BROKER_HOST"] == "0.0.0.0"


def test_all_containers_come_back_by_themselves_and_have_time_to_stop() -> None:
    for service in (BROKER, REDIS):
        assert service["restart"] == "unless-stopped"
        # The broker's own limit is ten seconds, and so is the engine's.
        assert int(service["stop_grace_period"].removesuffix("s")) > 10


def test_the_image_runs_the_broker_itself_as_an_ordinary_user() -> None:
    user = instruction("USER").split(":")[0]

    assert user.isdigit()
    assert int(user) > 0
    # In exec form: with a shell as process 1 the broker would not hear SIGTERM.
    assert json.loads(instruction("CMD")) == ["broker", "serve"]


def scripts() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / "lua").rglob("*.lua")}


def pages() -> set[str]:
    """Templates and files of the UI."""
    folders = (ROOT / "broker/web/templates", ROOT / "broker/web/static")
    return {str(path.relative_to(ROOT / "broker")) for folder in folders for path in folder.iterdir()}


def test_the_wheel_has_every_script_and_page(tmp_path: Path) -> None:
    # What builds it is fetched only where it is not installed.
    isolated = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        *isolated,
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("broker/") for name in archive.namelist()}
    assert len(scripts()) > 50
    assert scripts() <= names
    assert len(pages()) > 30
    assert pages() <= names


ORDINARY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
"""As whom to run: nobody, when the tests run as root."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that an ordinary user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="broker-image-"))
    path.chmod(0o755)
    (path / "home").mkdir()
    if ORDINARY:
        os.chown(path / "home", ORDINARY["user"], ORDINARY["group"])
    yield path / "home"
    shutil.rmtree(path)


def python_for(home: Path) -> str:
    """Ours, or another one that an ordinary user may run: ours may be in root's home."""
    wanted = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if subprocess.run(
                [python, "-c", wanted], cwd=home, capture_output=True, check=False, **ORDINARY
            ).returncode:
                continue
        except OSError:
            continue
        return python
    pytest.skip("no Python 3.11 that an ordinary user may run")


def build_context(folder: Path) -> Path:
    """What .dockerignore lets through, readable and no more."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    folder.mkdir(mode=0o755)
    for name in [line[1:] for line in lines if line.startswith("!")]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["chmod", "-R", "a-w,a+rX", folder], check=True)
    return folder


@pytest.mark.slow
def test_what_the_image_installs_starts_is_healthy_and_stops_when_it_is_told(home: Path, tmp_path: Path) -> None:
    context = build_context(home.parent / "src")
    subprocess.run([python_for(home), "-m", "venv", home / "venv"], cwd=home, check=True, **ORDINARY)
    bare = {"HOME": str(home), "PATH": f"{home}/venv/bin:/usr/bin:/bin"}

    def run(command: list[str], **environment: str) -> "subprocess.CompletedProcess[bytes]":
        program = shutil.which(command[0], path=bare["PATH"]) or command[0]
        return subprocess.run([program, *command[1:]], cwd=home, env={**bare, **environment}, check=False, **ORDINARY)

    install = re.sub(r"--mount=\S+", "", instruction("RUN", has="pip install")).replace("/src", str(context))
    assert run(["sh", "-c", install]).returncode == 0
    (installed,) = home.glob("venv/lib/*/site-packages/broker")
    assert scripts() <= {str(path.relative_to(installed)) for path in installed.rglob("*.lua")}

    port = str(free_port())
    with redis_of_compose(tmp_path) as url:
        # The image's own, but for what would reach beyond this test.
        here = {"BROKER_HOST": "127.0.0.1", "BROKER_PORT": port, "BROKER_DATA_DIR": str(home / "data")}
        environment = {**image_environment(), **BROKER["environment"], **here, "BROKER_REDIS_URL": url}
        program, *rest = json.loads(instruction("CMD"))
        started = [str(home / "venv/bin" / program), *rest]
        health = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])

        broker = subprocess.Popen(started, cwd=home, env={**bare, **environment}, start_new_session=True, **ORDINARY)
        try:
            until(lambda: run(health, **environment).returncode == 0)
            made = httpx.post(f"http://127.0.0.1:{port}/worker/create")
        finally:
            broker.send_signal(signal.SIGTERM)
            code = broker.wait(15)

        assert made.json()["content"]["worker"]["id"] == 1
        assert code == 0
        assert run(health, **environment).returncode != 0
