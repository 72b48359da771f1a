"""What the overview says of what needs attention."""

import pytest

from broker.store.attention import Kind, Needing
from broker.store.monitoring import Memory
from broker.store.worker_stats import SilentHolders, WorkerCounts
from broker.store.workers import Worker
from broker.web.attention import trouble, trouble_of_store, trouble_of_workers

NOW = 10_000


@pytest.mark.parametrize(
    ("kind", "numbers", "text", "page"),
    [
        ("stalled", (9_400_000, 4, 0), "Stalled: no worker got a task for 10 min. Waiting: 4 tasks.", ""),
        ("stalled", (9_999_999_000, 1, 0), "Stalled: no worker got a task for 0 s. Waiting: 1 task.", ""),
        (
            "failing",
            (9, 100, 4_000_000),
            "Failing: 9 tasks failed in 1 h 40 min, 100 closed.",
            "/tasks?state=failed",
        ),
        ("requests", (1, 0, 0), "1 worker requests access.", "/access"),
        ("requests", (2000, 0, 0), "2,000 workers request access.", "/access"),
        ("blocked", (1, 2, 0), "Blocked: 1 of 2 groups.", "/groups?state=blocked"),
    ],
)
def test_a_project_is_told_what_is_wrong_and_where_to_see_more(
    kind: Kind, numbers: tuple[int, int, int], text: str, page: str
) -> None:
    assert trouble(Needing(kind, 7, "shop", 31, numbers), NOW) == ("shop", text, f"projects/7{page}")


def test_pages_that_a_manager_may_not_see_are_not_named() -> None:
    assert trouble(Needing("failing", 7, "shop", 0, (10, 0, 0)), NOW).place == "projects/7"


@pytest.mark.parametrize(
    ("used", "limit", "text"),
    [(79, 100, None), (80, 100, "80 % of 100 bytes are used."), (120, 100, "100 % of"), (10**9, 0, None)],
)
def test_a_store_that_is_nearly_full_is_trouble(used: int, limit: int, text: str | None) -> None:
    shown = trouble_of_store(Memory(used, limit))

    assert [one.text.startswith(text or "") for one in shown] == [True] * (text is not None)
    assert trouble_of_store(None) == []


def test_a_silent_worker_that_holds_tasks_is_named_and_several_are_counted() -> None:
    worker = WorkerCounts(Worker(9, "crawler-9", 1, False, ""), closed=0, held=5, seen=NOW - 1020)

    assert trouble_of_workers(SilentHolders(0, 0, None), NOW) == []
    assert trouble_of_workers(SilentHolders(1, 5, worker), NOW) == [
        ("crawler-9", "Silent: this worker holds 5 tasks and has not called for 17 min.", "workers/9")
    ]
    assert trouble_of_workers(SilentHolders(1200, 3000, worker), NOW) == [
        (
            "Workers",
            "Silent: 1,200 workers that hold 3,000 tasks have not called for 5 minutes or longer.",
            "workers?show=silent",
        )
    ]
