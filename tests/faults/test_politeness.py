"""Server processes and the store are killed, and a manager changes limits, blocks groups and resets the project, while
a fleet fetches: no group is fetched too often or by too many, and in the end nothing is withheld.
"""

import math
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.client import Answer, Caller, Fleet, WorkerCaller
from tests.faults.fault_injection import Client, Ledger
from tests.faults.politeness import SLACK, Block, Change, GroupLog, Start
from tests.serving import Serving, until

FETCHERS = 16
HOT = [f"hot{n}.example" for n in range(8)]
"""Their tasks come first, so they always start as many as they may."""
GROUPS = [*HOT, *(f"host{n}.example" for n in range(32))]
LIVE = ("waiting", "verifying", "assigned")
BLOCKED_FOR = 0.3
"""Seconds for which a fetcher blocks a group."""
HELD_FOR = 1
"""Seconds, the ``max_assign_time`` of the tasks."""


@dataclass
class Log:
    project: int
    groups: dict[str, GroupLog]
    resets: list[tuple[float, float]] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    on_fire: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def violations(self) -> Iterator[str]:
        for group in self.groups.values():
            yield from group.violations(self.resets)


class Fetcher(Client):
    """Fails some tasks, skips some, and never releases some while there is fire; closes all afterwards."""

    def __init__(self, worker: WorkerCaller, number: int, log: Log) -> None:
        super().__init__(worker, number, log.ledger)
        self._log = log
        self._chance = random.Random(number)
        # The others ask again at once, which bounds more closely when a task started.
        self._get = f"/task/get/{log.project}?wait={number % 2}"
        self.saw: Counter[str] = Counter()

    def work(self) -> None:
        while not self._log.done.is_set():
            asked = time.monotonic()
            got = self.send(self._get)
            if got is None:
                self.saw["lost gets"] += 1
                time.sleep(0.01)
            elif got.body["ok"]:
                self._fetch(got.body["content"]["task"], asked, time.monotonic())
            else:
                time.sleep(0.01)

    def _fetch(self, task: dict[str, Any], asked: float, answered: float) -> None:
        start = Start(task["id"], asked, answered, asked + HELD_FOR - SLACK)
        self._log.groups[task["group"]].starts.append(start)
        self.saw["assigned"] += 1
        fire, what = self._log.on_fire.is_set(), self._chance.random()
        time.sleep(self._chance.uniform(0.05, 0.4) if self._chance.random() < 0.3 else 0.005)
        if fire and what < 0.05:
            return
        result = 1 if fire and what < 0.15 else 2 if fire and what < 0.2 else 0
        start.until = min(start.until, time.monotonic())
        release = {"task_id": task["id"], "result": result}
        if fire and self._chance.random() < 0.1:
            self._release_and_block(self._log.groups[task["group"]], release)
        else:
            self.send("/task/release", release)

    def _release_and_block(self, group: GroupLog, release: dict[str, Any]) -> None:
        """As after a 429 with Retry-After."""
        block = Block(math.inf, time.monotonic() + BLOCKED_FOR)
        group.blocks.append(block)
        answer = self.send("/task/release", {**release, "group_blocked": BLOCKED_FOR})
        if answer is not None and answer.content()["updated"]:
            block.begin = time.monotonic()
            self.saw["blocks"] += 1


class Manager(Client):
    """Changes everything that limits groups, and repeats each call until it is answered."""

    def __init__(self, admin: Caller, submitter: Client, log: Log, serving: Serving) -> None:
        super().__init__(admin, 0, log.ledger)
        self._submitter = submitter
        self._log = log
        self._serving = serving
        self._chance = random.Random(1)
        self.saw: Counter[str] = Counter()

    def call(self, path: str, body: object) -> Answer:
        begun = time.monotonic()
        while (answer := self.send(path, body)) is None:
            assert time.monotonic() - begun < 30, f"{path} was not answered for 30 seconds"
            self.saw[f"lost {path.split('/')[2]}"] += 1
            time.sleep(0.02)
        assert answer.body["ok"], answer
        return answer

    def submit(self) -> None:
        """Submits a little more than is fetched meanwhile for hot groups, a little less for the others."""
        task = {"project": self._log.project, "recipe": "r", "max_assign_time": HELD_FOR}
        requests = [
            {**task, "group": group, "priority": hot, "max_retries": 1 + n % 2, "verification_count": 1 + (n == 4)}
            for group in GROUPS
            for hot in [int(group in HOT)]
            for n in range(5 if hot else self._chance.random() < 0.4)
        ]
        self._submitter.send("/task/bulk_submit", {"requests": requests})

    def kill_server(self) -> None:
        os.kill(self._chance.choice(self._serving.servers()), signal.SIGKILL)

    def kill_store(self) -> None:
        os.kill(self._serving.store(), signal.SIGKILL)

    def change_project(self) -> None:
        self._change_project(self._some_change())

    def slow_down(self) -> None:
        """Makes groups rest for longer than the next two calls take, which must not shorten the rests."""
        self._change_project(Change(time.monotonic(), 0.5, 2))

    def _change_project(self, change: Change) -> None:
        for group in self._log.groups.values():
            if not group.own:
                group.changes.append(change)
        order = self._chance.choice(["priority", "fair"])
        body = {"group_delay": change.delay, "group_limit": change.limit, "group_order": order}
        self.call(f"/project/update/{self._log.project}", body)
        change.answered = time.monotonic()

    def change_group(self) -> None:
        self._change_group(self._log.groups[self._chance.choice(HOT)], self._some_change())

    def _change_group(self, group: GroupLog, change: Change) -> None:
        group.own = True
        group.changes.append(change)
        self._set_group(group, delay=change.delay, limit=change.limit)
        change.answered = time.monotonic()

    def _some_change(self) -> Change:
        return Change(time.monotonic(), self._chance.choice([0, 0.1, 0.5]), self._chance.choice([1, 2, 3]))

    def _set_group(self, group: GroupLog, **fields: float) -> None:
        self.call(f"/project/group/{self._log.project}", {"group": group.name, **fields})

    def block(self) -> None:
        # So that groups which may start a task are among them.
        self.submit()
        seconds = self._chance.choice([0.3, 5])
        for group in self._chance.sample([*self._log.groups.values()], 8):
            self._end_block(group)
            block = Block(math.inf, time.monotonic() + seconds)
            group.blocks.append(block)
            self._set_group(group, blocked_for=seconds)
            block.begin = time.monotonic()

    def unblock(self) -> None:
        for group in self._log.groups.values():
            if any(block.end > time.monotonic() for block in group.blocks):
                self._end_block(group)
                self._set_group(group, blocked_for=0)

    def _end_block(self, group: GroupLog) -> None:
        for block in group.blocks:
            block.end = min(block.end, time.monotonic())

    def reset_failed(self) -> None:
        self.call(f"/project/reset_failed_tasks/{self._log.project}", {})

    def reclaim_assigned(self) -> None:
        self._reset("reclaim_assigned_tasks")

    def hard_reset(self) -> None:
        self.saw["removed"] += self._reset("hard_reset")

    def _reset(self, name: str) -> int:
        asked = time.monotonic()
        affected: int = self.call(f"/project/{name}/{self._log.project}", {}).content()["affected_tasks"]
        self._log.resets.append((asked, time.monotonic()))
        return affected

    def set_fire(self, seconds: float) -> None:
        """Causes each fault once, and then again in random order until the time is over."""
        everything = [
            *(self.kill_server, self.slow_down, self.block, self.unblock, self.hard_reset, self.hard_reset),
            *(self.change_project, self.kill_store, self.change_group, self.block, self.reclaim_assigned),
            *(self.change_project, self.reset_failed),
        ]
        end = time.monotonic() + seconds
        while True:
            for harm in everything:
                harm()
                self.submit()
                time.sleep(self._chance.uniform(0.05, 0.3))
            if time.monotonic() > end:
                return
            self._chance.shuffle(everything)

    def put_out(self) -> None:
        self.unblock()
        self._change_project(Change(time.monotonic(), 0.05, 1))
        for group in self._log.groups.values():
            if group.own:
                self._change_group(group, Change(time.monotonic(), 0.05, 1))

    def nothing_waits(self) -> bool:
        answer = self.send(f"/project/stats/{self._log.project}")
        return answer is not None and not any(answer.content()["stats"][state] for state in LIVE)


def check_counts(stats: dict[str, Any], saw: Counter[str]) -> None:
    counters: dict[str, int] = stats["counters"]
    assert 0 <= counters["assigned"] - saw["assigned"] <= saw["lost gets"]
    removed = counters["submitted"] - counters["closed"] - stats["failed"]
    assert removed == saw["removed"] or (saw["lost hard_reset"] and removed > saw["removed"])


@pytest.mark.parametrize(
    ("starts", "resets", "reported"),
    [
        ([(0, 0.1), (0.9, 1.1)], [], 0),
        ([(0, 0.1), (0.8, 0.9)], [], 1),
        # Either may have been the first, and the other a second later.
        ([(0, 0.9), (0.5, 1.1)], [], 0),
        ([(0, 0.1), (2, 2.1), (4, 4.1)], [], 1),
        ([(0, 0.1), (2, 2.1), (4, 4.1)], [(3, 3.1)], 0),
        ([(0, 0.1), (2, 2.1), (6, 6.1)], [], 1),
        # The third may have started after the limit was raised, at 8.
        ([(0, 0.1), (2, 2.1), (7, 8.1)], [], 0),
        ([(0, 0.1), (20, 20.1)], [], 1),
    ],
)
def test_only_certain_violations_are_reported(
    starts: list[tuple[float, float]], resets: list[tuple[float, float]], reported: int
) -> None:
    changes = [Change(-math.inf, 1, 2, -math.inf), Change(8, 1, 3, 9)]
    held = [Start(n, asked, answered, 18) for n, (asked, answered) in enumerate(starts)]
    group = GroupLog("a", changes, held, [Block(19, 21)])

    assert len(list(group.violations(resets))) == reported


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.slow)])
def test_no_group_is_fetched_too_often_or_by_too_many_and_nothing_is_withheld(tmp_path: Path, seconds: float) -> None:
    serving = Serving.start(tmp_path, workers=3, durability="always")
    fleet = Fleet(serving.url, serving.admin())
    project = fleet.project(group_delay=0.1, group_limit=2)
    log = Log(project, {name: GroupLog(name, [Change(-math.inf, 0.1, 2, -math.inf)]) for name in GROUPS})
    fetchers = [Fetcher(fleet.worker(project), number, log) for number in range(FETCHERS)]
    manager = Manager(fleet.admin, Client(fleet.worker(project), 0, log.ledger), log, serving)
    log.on_fire.set()
    with ThreadPoolExecutor(FETCHERS) as pool:
        working = [pool.submit(fetcher.work) for fetcher in fetchers]
        try:
            manager.set_fire(seconds)
            manager.put_out()
            log.on_fire.clear()
            until(manager.nothing_waits, 60)
        finally:
            log.done.set()
        for one in working:
            one.result(30)

    assert all(len(log.groups[name].starts) > 10 for name in HOT)
    assert list(log.violations()) == []
    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    check_counts(stats, sum((fetcher.saw for fetcher in fetchers), manager.saw))
    for name in GROUPS:
        row = fleet.admin.get(f"/project/group/{project}?group={name}").content()["group"]
        assert (row["waiting"], row["running"]) == (0, 0)
    fleet.close()
    assert serving.stop() == 0
