"""Fixtures of the tests of running workers."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.client import Credentials
from tests.client import Fleet, WorkerCaller
from tests.client_library.proxy import Proxy, a_proxy

WorkerFile = Callable[..., Path]
Producer = Callable[[int], WorkerCaller]


@pytest.fixture
def worker_file(fleet: Fleet, tmp_path: Path) -> WorkerFile:
    """Creates a worker with access to these projects, and its credentials file."""

    def make(*projects: int, name: str = "worker.json") -> Path:
        worker = fleet.worker(*projects, alias="crawler-1")
        file = tmp_path / name
        Credentials(worker.id, worker.alias, worker.secret).save(file)
        return file

    return make


@pytest.fixture
def producer(fleet: Fleet) -> Producer:
    """Another worker that may submit to the project."""
    return lambda project: fleet.worker(project, alias="producer")


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    with a_proxy(fleet.url) as made:
        yield made


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "broker.client"):
        yield
