"""What the stories of workers that run are made of."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.client import Credentials
from tests.client import Fleet, WorkerCaller

Hire = Callable[..., Path]


@pytest.fixture
def hire(fleet: Fleet, tmp_path: Path) -> Hire:
    """Makes the credentials file of a worker with access to these projects."""

    def make(*projects: int, name: str = "worker.json") -> Path:
        worker = fleet.worker(*projects, alias="crawler-1")
        file = tmp_path / name
        Credentials(worker.id, worker.alias, worker.secret).save(file)
        return file

    return make


@pytest.fixture
def producer(fleet: Fleet) -> Callable[[int], WorkerCaller]:
    """Another worker that may submit to the project."""
    return lambda project: fleet.worker(project, alias="producer")


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "broker.client"):
        yield
