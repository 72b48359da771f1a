"""SECURITY.md names tests that exist, and every claim's number has some."""

import re
from pathlib import Path

import pytest

from broker.settings import Settings
from broker.store import Store
from tests.client import Fleet, exchange
from tests.stores import looking_into

TESTS = Path(__file__).parent
CLAIMS, NAMED = (TESTS.parent / "SECURITY.md").read_text().split("\n## The tests\n")


def test_every_claim_has_tests_that_exist() -> None:
    numbers = {number for cited in re.findall(r"\[([\d, ]+)\]", CLAIMS) for number in cited.split(", ")}
    lists = dict(re.findall(r"^(\d+)\. (`test_(?:.|\n(?!\d+\. ))*)", NAMED, re.MULTILINE))
    written = {name for path in TESTS.rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}

    assert set(lists) == numbers
    named = set(re.findall(r"`(test_\w+)`", NAMED))
    assert named
    assert named <= written


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics", "//metrics", "/%6detrics", "/api%2fmetrics"])
def test_metrics_are_reached_by_every_spelling_of_their_path(fleet: Fleet, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()

    answer = exchange(fleet.url, request, "GET")

    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")


def test_a_taken_name_tells_of_a_hidden_project(fleet: Fleet) -> None:
    manager, owner = fleet.manager(), fleet.manager()
    name = f"hidden of {owner.username}"
    project = fleet.project(owner, name=name, hidden=True)

    assert manager.get(f"/project/get/{project}").status == 403
    assert manager.post("/project/create", {"name": name}).code == "duplicate"


async def test_the_sizes_in_security_md_are_true(store: Store, settings: Settings, redis_url: str) -> None:
    wide = "\U0001f600"
    worker, _ = await store.workers.create(wide * 16_384)
    boss = await store.managers.register("boss", "a long password", open_to_all=True)
    texts = dict.fromkeys(("motd", "clone_url", "git_repo", "version"), wide * 65_536)
    project = await store.projects.create(boss.id, {"name": wide * 16_384, **texts})

    with looking_into(redis_url) as redis:

        def size(key: str) -> int:
            found: int = redis.memory_usage(f"{settings.prefix}:{{directory}}:{key}", samples=0)
            return found

        assert 65_000 < size(f"worker:{worker.id}") < 90_000
        assert 1_300_000 < size(f"project:{project}") < 1_900_000
        await store.projects.set_secret(boss.id, project, "secret", wide * (1 << 20))
        assert 5_000_000 < size(f"project:{project}") < 8_000_000
