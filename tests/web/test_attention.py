"""What the overview says of what needs attention."""

import pytest

from broker.store.attention import Kind, Needing
from broker.store.monitoring import Memory
from broker.web.attention import trouble, trouble_of_store

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
