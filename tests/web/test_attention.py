"""What the overview finds that needs attention."""

from typing import Any

import pytest

from broker.store.monitoring import Memory, Snapshot, Stats
from broker.store.projects import DEFAULTS, Project
from broker.web.attention import trouble_of_store, troubles
from broker.web.trends import trend

NOW = 10_000


def found(points: list[Snapshot], *, roles: int = 31, paused: str = "0", **counts: Any) -> list[str]:
    """The pages to which it leads, with what it says."""
    stats = Stats(**(dict.fromkeys(Stats._fields[:5], 0) | {"counters": {}} | counts))
    fields = {name: str(value) for name, value in DEFAULTS.items()} | {"name": "shop", "paused": paused}
    project = Project(7, 1, fields, roles)
    shown = troubles(project, stats, trend(points, stats, NOW), NOW)
    assert {(one.project, one.name) for one in shown} <= {(7, "shop")}
    return [f"{one.place.removeprefix('projects/7')} {one.text}".strip() for one in shown]


def point(age: int, *, new: int = 0, failed: int = 0, closed: int = 0) -> Snapshot:
    return Snapshot(NOW - age, new, failed, closed, 0, 0)


def test_a_project_without_tasks_needs_nothing() -> None:
    assert found([]) == []
    assert found([point(200), point(80)]) == []


def test_a_project_whose_tasks_wait_and_of_which_none_is_held_or_closed_stalls() -> None:
    points = [point(900, new=5, closed=1), point(600, new=4, closed=2), point(300, new=4, closed=2)]
    counters = {"closed": 2}

    assert found(points, waiting=4, counters=counters) == [
        "Stalled: no worker holds a task, and none was closed for 10 min. Waiting: 4 tasks."
    ]
    assert found(points, waiting=4, counters={"closed": 3}) == []
    assert found(points, waiting=4, assigned=1, counters=counters) == []
    assert found(points, waiting=4, paused="1", counters=counters) == []
    assert found(points, delayed=4, counters=counters) == []
    assert found(points, waiting=4, groups_resting=4, counters=counters) == []
    assert found([point(300, closed=2)], waiting=4, counters=counters) == [], "they came a moment ago"
    assert found([point(30, new=4, closed=2)], waiting=4, counters=counters) == []


def test_a_project_is_failing_when_a_fifth_of_what_is_done_has_failed_lately() -> None:
    points = [point(7100, failed=1000, closed=5000), point(100, failed=1000, closed=5000)]

    assert found(points, failed=1010, counters={"closed": 5040}) == [
        "/tasks?state=failed Failing: 10 tasks failed in 2 h, 40 closed."
    ]
    assert found(points, failed=1010, counters={"closed": 5041}) == []
    assert found(points, failed=1009, counters={"closed": 5000}) == []
    assert found([point(100, failed=15)], failed=15) != [], "it has only just begun"
    assert found(points, failed=1010, roles=0)[0].startswith("Failing")


def test_requests_are_told_to_those_who_may_accept_them() -> None:
    assert found([], requests=1) == ["/access 1 worker requests access."]
    assert found([], requests=2) == ["/access 2 workers request access."]
    assert found([], requests=2, roles=3) == []


def test_groups_are_worth_a_look_when_half_of_them_are_blocked() -> None:
    assert found([], groups_ready=1, groups_resting=1, groups_blocked=1) == [
        "/groups?state=blocked Blocked: 1 of 2 groups."
    ]
    assert found([], groups_ready=2, groups_resting=1, groups_blocked=1) == []


@pytest.mark.parametrize(
    ("used", "limit", "text"),
    [(79, 100, None), (80, 100, "80 % of 100 bytes are used."), (120, 100, "100 % of"), (10**9, 0, None)],
)
def test_a_store_that_is_nearly_full_is_trouble(used: int, limit: int, text: str | None) -> None:
    shown = trouble_of_store(Memory(used, limit))

    assert [one.text.startswith(text or "") for one in shown] == [True] * (text is not None)
    assert trouble_of_store(None) == []
