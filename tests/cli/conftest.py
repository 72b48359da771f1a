"""A broker for the commands alone: ``status`` asks for each project, and other tests create many."""

from collections.abc import Iterator

import pytest

from tests.client import Caller
from tests.serving import Serving


@pytest.fixture(scope="package")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    running = Serving.start(tmp_path_factory.mktemp("commands"), project_limit="0")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="package")
def admin(serving: Serving) -> Caller:
    return serving.admin()
