"""A private project, and a worker that may do everything there; the store-level store_fleet of ``tests/store``."""

import secrets

import pytest

from tests.client import Fleet, WorkerCaller
from tests.store.conftest import fleet as store_fleet

__all__ = ["store_fleet"]


@pytest.fixture
def project(fleet: Fleet) -> int:
    return fleet.project()


@pytest.fixture
def worker(fleet: Fleet, project: int) -> WorkerCaller:
    return fleet.worker(project)


@pytest.fixture
def repository() -> str:
    return f"Crawlers/Site-{secrets.token_hex(6)}"
