"""A private project, and a worker that may do everything there; the store-level store_fleet of ``tests/store``."""

import secrets

import pytest

from tests.store.conftest import fleet as store_fleet

__all__ = ["store_fleet"]


@pytest.fixture
def repository() -> str:
    return f"Crawlers/Site-{secrets.token_hex(6)}"
