"""Fixtures for all tests: a real store for tests below HTTP, and a real broker of two processes for the others."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from broker.settings import Settings
from broker.store import Store, open_store
from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving
from tests.stores import STORES

# A shell starts what it puts into the background with SIGINT ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """The tests of one file run in one process; so do all those of the browser, with one Chromium and one broker."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="broker-tests-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def store_kind() -> str:
    return os.environ.get("BROKER_TEST_STORE", "embedded")


@pytest.fixture(scope="session")
def redis_url(scratch: Path, store_kind: str) -> Iterator[str]:
    """The URL of a store, started once per run."""
    with STORES[store_kind](scratch / "store") as url:
        yield url


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Each test has a key prefix of its own."""
    return Settings(redis_url=redis_url, prefix=f"test-{secrets.token_hex(6)}")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def served_store(scratch: Path, store_kind: str) -> Iterator[str]:
    """The URL of a store for brokers, apart from that of store tests, which count calls; empty: each has its own."""
    if store_kind == "embedded":
        yield ""
        return
    with STORES[store_kind](scratch / "served") as url:
        yield url


@pytest.fixture(scope="session")
def serving(scratch: Path, served_store: str) -> Iterator[Serving]:
    """A broker of two server processes."""
    # All tests together create more projects than one address may, and than /metrics shows.
    running = Serving.start(
        scratch / "serving", workers=2, redis_url=served_store, project_limit="0", metrics_projects="5000"
    )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def admin(serving: Serving) -> Caller:
    """The first account of the session's broker."""
    return serving.admin()


@pytest.fixture
def fleet(serving: Serving, admin: Caller) -> Iterator[Fleet]:
    """Creates workers, managers and projects on the session's broker."""
    made = Fleet(serving.url, admin)
    yield made
    made.close()


@pytest.fixture
def project(fleet: Fleet) -> int:
    return fleet.project()


@pytest.fixture
def worker(fleet: Fleet, project: int) -> WorkerCaller:
    return fleet.worker(project)
