"""A real store for the tests that speak to it, a real broker of two processes for those that speak HTTP."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.embedded import EmbeddedStore
from tests.client import Caller, Fleet
from tests.serving import Serving


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="broker-tests-"))
    yield path
    shutil.rmtree(path)


def until_it_answers(url: str) -> None:
    with Redis.from_url(url) as client:
        for _ in range(500):
            try:
                client.ping()
                return
            except RedisConnectionError:
                time.sleep(0.01)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="session")
def redis_url(scratch: Path) -> Iterator[str]:
    """An embedded server, once per run, or the one that BROKER_TEST_REDIS_URL names."""
    if given := os.environ.get("BROKER_TEST_REDIS_URL"):
        yield given
        return
    embedded = EmbeddedStore(Settings(data_dir=str(scratch / "store")))
    embedded.start()
    until_it_answers(embedded.url)
    yield embedded.url
    embedded.stop()


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """A prefix of its own for every test."""
    return Settings(redis_url=redis_url, prefix=f"test-{secrets.token_hex(6)}")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def serving(scratch: Path) -> Iterator[Serving]:
    """A broker of two server processes on its embedded store."""
    running = Serving.start(scratch / "serving", workers=2)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def admin(serving: Serving) -> Iterator[Caller]:
    """The first account of the session's broker."""
    caller = Caller(serving.url)
    caller.post("/register", {"username": "admin", "password": "a long password"}).content()
    yield caller
    caller.close()


@pytest.fixture
def fleet(serving: Serving, admin: Caller) -> Iterator[Fleet]:
    """Makes workers, managers and projects on the session's broker, with names of their own."""
    made = Fleet(serving.url, admin)
    yield made
    made.close()
