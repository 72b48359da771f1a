"""What the broker says of itself."""

import pytest

from broker import __version__
from tests.client import Fleet


@pytest.mark.parametrize("path", ["/", "/api/"])
@pytest.mark.parametrize("accept", [None, "*/*", "application/json", ""])
def test_the_root_names_the_broker_and_its_version(fleet: Fleet, path: str, accept: str | None) -> None:
    answer = fleet.anybody.get(path, headers={} if accept is None else {"Accept": accept})

    assert answer.body == {"ok": True, "content": {"name": answer.content()["name"], "version": __version__}}
    assert answer.content()["name"]


@pytest.mark.parametrize("path", ["/", "/api/"])
def test_a_browser_is_sent_to_the_ui(fleet: Fleet, path: str) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

    answer = fleet.anybody.get(path, headers={"Accept": accept})

    assert 300 <= answer.status < 400
    assert answer.headers["location"] == "/ui/"


@pytest.mark.parametrize("path", ["/healthz", "/api/healthz"])
def test_a_running_process_is_healthy(fleet: Fleet, path: str) -> None:
    assert fleet.anybody.get(path).body == {"ok": True}
