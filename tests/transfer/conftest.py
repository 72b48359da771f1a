"""The commands on a store of a test, and dumps of an original tracker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from broker.cli import main
from broker.settings import Settings
from broker.store import Store
from tests.postgres import Postgres, postgres


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Broker = Callable[..., Awaitable[Done]]


@pytest.fixture
def broker(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Broker:
    """Runs a command as the shell does, on the store of the test."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    async def run(*arguments: object) -> Done:
        # A thread: the command has a loop of its own.
        code = await asyncio.to_thread(main, list(map(str, arguments)))
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


@pytest.fixture
async def boss(store: Store) -> int:
    """An admin."""
    manager = (await store.managers.register("boss", "a long password", open_to_all=True)).id
    await store.managers.set_admin(None, manager, True)
    return manager


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def fine(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(folder: Path, table: str, head: str, *rows: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{table}.csv").write_text("\n".join([head, *rows]) + "\n")
