"""What the examples of several calls have in common: a broker with one admin, two projects and two workers."""

from broker.store.task_fields import TaskFields

MANAGER = {"id": 1, "username": "ada", "tracker_admin": True, "register_time": 1795469334}
GUEST = {"id": 2, "username": "grace", "tracker_admin": False, "register_time": 1795469334}
WORKER = {"id": 1, "created": 1795469334, "alias": "crawler-01", "secret": None, "paused": False}
PROJECT = {
    "id": 2,
    "priority": 10,
    "name": "pages",
    "clone_url": "https://git.example/ada/crawler",
    "git_repo": "ada/crawler",
    "version": "1.4",
    "motd": "",
    "public": False,
    "hidden": False,
    "chain": 1,
    "paused": False,
    "assign_rate": 1.7976931348623157e308,
    "submit_rate": 1.7976931348623157e308,
    "remember_closed": 0,
}
COMMIT = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


def task(id: int, recipe: str, **others: int) -> dict[str, object]:
    """As get hands it out."""
    fields = {
        "id": id,
        **TaskFields(recipe).given(),
        "assignee": 1,
        "retries": 0,
        "status": 1,
        "assign_time": 1795469334,
        "project": PROJECT | {"version": COMMIT},
    }
    return fields | others


def managed_task(id: int, recipe: str, **others: object) -> dict[str, object]:
    """As a manager sees it."""
    fields = {
        "id": id,
        "state": "queue",
        "status": 1,
        **TaskFields(recipe).given(),
        "recipe_bytes": len(recipe),
        "hash64": None,
        "retries": 0,
        "created": 1795469334,
        "assignee": None,
        "assign_time": None,
        "deadline": None,
        "fail_time": None,
        "vote_count": 0,
        "votes": [],
    }
    return fields | others
