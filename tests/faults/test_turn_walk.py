"""The same random calls on two projects, one by turns, the other by single calls: answers and results are equal."""

import random
from typing import Any

import pytest

from tests.client import Answer, Fleet, WorkerCaller

_STEPS = 30
_DAY = 86_400


class Twins:
    """Projects of the same settings and workers, whose tasks have the same numbers before the project's."""

    def __init__(self, fleet: Fleet, choose: random.Random) -> None:
        self.fleet, self.choose = fleet, choose
        self.workers = [fleet.worker() for _ in range(3)]
        self.held: dict[int, list[int]] = {worker.id: [] for worker in self.workers}
        self.numbers = [1]
        fields: dict[str, Any] = {
            "group_limit": choose.choice([0, 1, 2]),
            "group_delay": choose.choice([0, 0, _DAY]),
            "group_order": choose.choice(["priority", "fair"]),
            "remember_closed": choose.choice([0, -1, _DAY]),
            "max_votes": choose.choice([0, 2]),
            "retry_delay": choose.choice([0, 0, _DAY]),
            "submit_rate": choose.choice([0, 0, 0, 0.0001]),
            "assign_rate": choose.choice([0, 0, 0, 0.0001]),
            "public": choose.random() < 0.3,
        }
        self.targets = [fleet.project() for _ in range(2)]
        self.projects = [fleet.project(**fields, chain=target) for target in self.targets]
        for worker in self.workers:
            for may in choose.choice([["assign", "submit"], ["assign", "submit"], ["assign"], []]):
                for project in self.projects:
                    self._grant(project, worker, may)

    def _grant(self, project: int, worker: WorkerCaller, may: str) -> None:
        token = self.fleet.admin.post(f"/project/join_tokens/{project}", {may: True}).content()["token"]
        worker.post("/project/join", {"project": project, "token": token}).content()

    def pause_something(self) -> None:
        admin, worker, paused = self.fleet.admin, self.choose.choice(self.workers), self.choose.random() < 0.5
        for project in self.projects:
            admin.post(f"/project/update/{project}", {"paused": paused}).content()
        admin.post("/worker/set_paused", {"worker": worker.id, "paused": self.choose.random() < 0.3}).content()

    def step(self) -> None:
        worker = self.choose.choice(self.workers)
        releases, submits, get = self._releases(worker), self._submits(), self._get()
        by_turn = _by_turn(worker, self.projects[0], releases, submits, get)
        by_calls = _by_calls(worker, self.projects[1], releases, submits, get)
        assert by_turn == by_calls, (worker.id, releases, submits, get)
        self._list_alike("assigned&order=oldest")

        held = self.held[worker.id]
        held += [task["id"] for task in by_turn["tasks"]]
        self.numbers += [number for number in by_turn["outcomes"] if number]
        done = {release["task_id"] for release in releases}
        self.held[worker.id] = [number for number in held if number not in done]

    def _releases(self, worker: WorkerCaller) -> list[dict[str, Any]]:
        choose = self.choose
        numbers = choose.sample(self.held[worker.id], min(len(self.held[worker.id]), choose.choice([0, 1, 1, 3, 250])))
        numbers += choose.choice([[], [], [choose.choice(self.numbers)], numbers[:1]])
        releases = []
        for number in numbers:
            result = choose.choice([0, 0, 0, 1, 2])
            release: dict[str, Any] = {"task_id": number, "result": result, "verification": choose.choice([0, 0, -5])}
            if choose.random() < 0.3:
                release |= choose.choice([{"group_delay": _DAY}, {"group_blocked": _DAY}, {"group_blocked": -1}])
            if choose.random() < 0.3:
                release |= {"delay": _DAY, "message": "x"} if result else {"again_in": _DAY}
            releases.append(release)
        return releases

    def _submits(self) -> list[dict[str, Any]]:
        choose = self.choose
        return [
            {
                "recipe": f"recipe {choose.randrange(1000)}",
                "hash64": choose.choice([0, choose.randrange(40)]),
                "group": choose.choice(["", "", "a", "b", "c"]),
                "priority": choose.randrange(-2, 3),
                "verification_count": choose.choice([0, 0, 0, 2]),
                "max_retries": choose.choice([0, 3]),
                "delay": choose.choice([0, 0, 0, 0, _DAY]),
            }
            for _ in range(choose.choice([0, 0, 1, 2, 10, 10, 201 if choose.random() < 0.2 else 20]))
        ]

    def _get(self) -> dict[str, int] | None:
        count, hold = self.choose.choice([0, 1, 1, 5, 501]), self.choose.choice([0, 0, 60])
        return {"count": count, **({"hold": hold} if hold else {})} if count else None

    def end_alike(self) -> None:
        admin = self.fleet.admin
        for one, other in (self.projects, self.targets):
            assert admin.get(f"/project/stats/{one}").content() == admin.get(f"/project/stats/{other}").content()
        for query in ("waiting", "verifying", "delayed&order=oldest", "failed&order=oldest"):
            self._list_alike(query)

    def _list_alike(self, query: str) -> None:
        one, other = (self.fleet.admin.get(f"/project/tasks/{id}?limit=500&state={query}") for id in self.projects)
        assert _rows(one) == _rows(other)


_CLOCK = ("created", "assign_time", "fail_time", "not_before")


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answer.content()["tasks"]
    for row in rows:
        row["id"] //= 100_000
        row["error"] = row["error"] and row["error"]["message"]
        row["deadline"] = row["deadline"] and row["deadline"] - row["assign_time"]
        for field in _CLOCK:
            row[field] = row[field] is not None
    return rows


def _of(project: int, releases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**release, "task_id": release["task_id"] * 100_000 + project} for release in releases]


def _by_turn(
    worker: WorkerCaller,
    project: int,
    releases: list[dict[str, Any]],
    submits: list[dict[str, Any]],
    get: dict[str, int] | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {"releases": _of(project, releases)}
    body["submits"] = [{"project": project, **one} for one in submits]
    body["get"] = {"project": project, **get} if get else None
    answer = worker.post("/task/turn", body)
    assert (answer.status, answer.body["ok"]) == (200, not answer.body["content"]["refused"])
    return _plain(answer.body["content"])


def _by_calls(
    worker: WorkerCaller,
    project: int,
    releases: list[dict[str, Any]],
    submits: list[dict[str, Any]],
    get: dict[str, int] | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {"updated": [], "outcomes": [], "tasks": [], "refused": {}}

    def note(part: str, field: str, answer: Answer) -> None:
        if answer.body["ok"]:
            found[field] = answer.content()[field]
        elif answer.code != "no_task":
            found["refused"][part] = answer.body

    if releases:
        note("releases", "updated", worker.post("/task/bulk_release", {"requests": _of(project, releases)}))
    if submits:
        requests = [{"project": project, **one} for one in submits]
        note("submits", "outcomes", worker.post("/task/bulk_submit", {"requests": requests}))
    if get:
        query = "&".join(f"{name}={value}" for name, value in get.items())
        note("get", "tasks", worker.get(f"/task/get/{project}?{query}"))
    return _plain(found)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between the twins: ids, names and the clock."""
    for task in content["tasks"]:
        task["id"] //= 100_000
        task["assign_time"] = 0
        task["project"] |= {"id": 0, "name": "", "chain": 0}
    content["outcomes"] = [id and id // 100_000 for id in content["outcomes"]]
    for part, why in content["refused"].items():
        is_rate = why["code"] == "rate_limited"
        assert is_rate == (why.get("rate_limit_delay", 0) > 0)
        content["refused"][part] = (why["code"], is_rate or why["message"], why.get("detail"))
    return content


@pytest.mark.parametrize("seed", range(6))
def test_a_turn_does_and_answers_what_the_single_calls_do(fleet: Fleet, seed: int) -> None:
    twins = Twins(fleet, random.Random(seed))
    for _ in range(_STEPS):
        if twins.choose.random() < 0.1:
            twins.pause_something()
        twins.step()
    twins.end_alike()
