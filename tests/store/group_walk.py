"""Random walks over a project whose tasks have groups and delays: limits are kept, no task comes before its time, and
none is withheld.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass, field
from typing import Any

from broker.store import Store
from broker.store.groups import GROUP_STATES
from broker.store.task_fields import TaskFields
from broker.store.tasks import result_of
from tests.stores import keys_like, lose_record

FULL = 2.0**52
STEP = 2**37
LONG = 3_600


@dataclass
class Task:
    new: TaskFields
    votes: dict[int, int] = field(default_factory=dict)
    retries: int = 0
    reclaims: int = 0
    round: int = 1
    until: int = 0
    """Until when it is delayed, unix ms."""
    error: bool = False
    disagree: bool = False
    failed_by: int = 0
    """The worker that failed it: until ``elsewhere`` the task is left to others."""
    elsewhere: int = 0

    def begin_anew(self) -> None:
        self.retries = self.reclaims = self.failed_by = 0
        self.error = False


@dataclass
class Limits:
    """The limits of a group itself: ms, and unix ms for ``blocked``."""

    delay: int | None = None
    limit: int | None = None
    slowed: int = 0
    blocked: int = 0
    by_manager: bool = False


@dataclass
class Held:
    task: Task
    worker: int
    deadline: int


def seconds(ms: int) -> float:
    return ms if ms < 0 else ms / 1000


class Walk:
    """One project. ``waiting``, ``held`` and ``failed`` are the expected tasks, compared with answers and keys."""

    def __init__(self, seed: int, store: Store, redis: Any, project: int, workers: list[int]) -> None:
        self.chance = random.Random(seed)
        self.store, self.redis, self.project, self.workers = store, redis, project, workers
        self.base = f"{store.keys.project(project)[0]}"
        self.now = 1_700_000_000_000
        self.waiting: dict[int, Task] = {}
        self.held: dict[int, Held] = {}
        self.failed: dict[int, Task] = {}
        self.delayed: dict[int, Task] = {}
        self.lost: set[int] = set()
        """Waiting or held tasks without a record."""
        self.running: Counter[str] = Counter()
        self.next_start: dict[str, int] = {}
        self.limits: defaultdict[str, Limits] = defaultdict(Limits)
        self.delay = self.limit = self.retry_delay = self.max_reclaims = self.max_votes = 0
        # A change of the order affects later tickets only, so the walk does not change it.
        self.fair = self.chance.random() < 0.3
        self.holders_lost = self.draining = False
        self.few = self.chance.random() < 0.5
        """Few tasks in each group: more gets find nothing, and groups become empty."""
        count = self.chance.choice([1, 3, 8, 30, 60])
        self.groups = [f"host {n} @" for n in range(count)] * (1 if self.few or count > 8 else 3) + [""]
        self.voting = self.few or self.chance.random() < 0.6

    def may_start(self, group: str) -> bool:
        if not group:
            return True
        limit, its = self.limit_of(group), self.limits[group]
        return (not limit or self.running[group] < limit) and self.may_start_at(group) <= self.now >= its.blocked

    def limit_of(self, group: str) -> int:
        own = self.limits[group].limit
        return self.limit if own is None else own

    def delay_of(self, group: str) -> int:
        its = self.limits[group]
        return max(self.delay if its.delay is None else its.delay, its.slowed)

    def may_start_at(self, group: str) -> int:
        return self.next_start.get(group, 0)

    def level(self, task: Task) -> int:
        return 0 if self.fair and task.new.group else task.new.priority

    async def walk(self, steps: int) -> None:
        await self.configure()
        actions: list[Callable[[], Awaitable[object]]] = [
            *[self.submit] * 28,
            *[self.assign] * 27,
            *[self.release] * 20,
            *[self.reclaim] * 4,
            *[self.remove] * 4,
            *[self.cancel] * 2,
            *[self.configure] * 3,
            *[self.promote] * 4,
            *[self.reclaim_worker] * 1,
            *[self.give_back] * 2,
            *[self.lose] * 2,
            *[self.retry_failed] * 3,
            *[self.drain] * 2,
            *[self.change_limits] * 3,
            *[self.slow_down] * 4,
            *[self.remove_group] * 1,
        ]
        for _ in range(steps):
            self.advance(self.chance.choice([0, 0, 1, 20, 300, 3000]))
            await self.chance.choice(actions)()
            self.check()
            if self.chance.random() < 0.1:
                await self.check_pages()
        await self.run_dry()

    def advance(self, ms: int) -> None:
        self.now += ms
        self.store.set_clock(self.now)

    async def configure(self) -> None:
        self.delay, self.limit = self.chance.choice([0, 0, 50, 400, 1500]), self.chance.choice([0, 0, 1, 2, 5])
        fields = {
            "group_delay": self.delay / 1000,
            "group_limit": self.limit,
            "group_order": "fair" if self.fair else "priority",
        }
        self.retry_delay = self.chance.choice([0, 0, 100, 2000])
        self.max_reclaims, self.max_votes = self.chance.choice([0, 0, 1, 3]), self.chance.choice([0, 0, 1, 3])
        fields |= {
            "retry_delay": self.retry_delay / 1000,
            "retry_delay_max": self.chance.choice([0, 0, 1, 60]),
            "max_reclaims": self.max_reclaims,
            "max_votes": self.max_votes,
        }
        await self.store.projects.update(None, self.project, fields)

    async def submit(self) -> None:
        tasks = [
            TaskFields(
                "r" * self.chance.choice([1, 1, 1, 2000]),
                priority=self.chance.choice([0, 0, 0, 1, 5, -3]),
                max_retries=self.chance.choice([0, 2, 5]),
                verification_count=2 if self.voting and self.chance.random() < 0.5 else 1,
                group=self.chance.choice(self.groups),
                start=self.chance.choice(["", "", "", "+1", "+300", f"={self.now + 2000}", "=5"]),
            )
            for _ in range(self.chance.choice([1, 1, 4, 10] if self.few else [1, 1, 4, 20, 60]))
        ]
        for id, new in zip(await self.store.tasks.submit(self.project, self.workers[0], tasks), tasks, strict=True):
            assert id
            task = Task(new._replace(start=""))
            ms = int(new.start[1:] or 0)
            task.until = ms + self.now if new.start.startswith("+") else ms
            (self.delayed if task.until > self.now else self.waiting)[id] = task

    def settle(self) -> None:
        """Notes which delayed tasks wait by now."""
        there = {int(id) for id in self.redis.zrange(f"{self.base}:delayed", 0, -1)}
        for id in set(self.delayed) - there:
            assert self.delayed[id].until <= self.now, "before its time"
            self.waiting[id] = self.delayed.pop(id)
        assert set(self.delayed) == there

    async def assign(self, worker: int | None = None, count: int | None = None) -> int:
        worker = worker or self.chance.choice(self.workers)
        count = count or self.chance.choice([1, 1, 1, 20] if self.few else [1, 1, 3, 10])
        overdue = {id for id, held in self.held.items() if held.deadline <= self.now}
        seconds = self.chance.choice([1, 2, LONG])
        given = (await self.store.tasks.assign(self.project, worker, count, seconds)).tasks
        self.settle()
        self.take_back(
            overdue - {int(member.split(":")[0]) for member in self.redis.zrange(f"{self.base}:assigned", 0, -1)}
        )
        # One that was overdue may have been assigned again.
        self.take_back({task.id for task in given} & overdue)
        late = {
            group for group, score in self.due().items() if score <= self.now or FULL <= score < FULL + self.epoch()
        }
        for n, task in enumerate(given):
            its = self.waiting[task.id]
            assert (task.fields, task.retries, task.round) == (its.new, its.retries, its.round)
            assert worker not in its.votes
            assert self.may_start(its.new.group), f"impolite: {its.new.group}"
            if n == 0 and not overdue and not self.draining:
                can = [t for id, t in self.can_take(worker) if t.new.group not in late or t is its]
                for_others = [t for t in can if self.is_for_others(t, worker)]
                if len(for_others) <= 16 and len(for_others) < len(can):
                    assert its not in for_others
                    can = [t for t in can if t not in for_others]
                if len(for_others) <= 16:
                    assert self.level(its) == max(map(self.level, can))
            del self.waiting[task.id]
            self.held[task.id] = Held(its, worker, self.now + seconds * 1000)
            if its.new.group:
                self.running[its.new.group] += 1
                self.next_start[its.new.group] = self.now + self.delay_of(its.new.group)
        if not given and not self.draining:
            assert not self.can_take(worker), "withheld"
            assert all(task.until > self.now for task in self.delayed.values())
        self.forget_dropped()
        return len(given)

    def forget_dropped(self) -> None:
        """Forgets tasks without a record that were dropped."""
        keys = [key for key in keys_like(self.redis, f"{self.base}:*") if ":wait:" in key or ":verify:" in key]
        there = {
            int(id)
            for key in [f"{self.base}:queue", f"{self.base}:verifying", *keys]
            for id in self.redis.zrange(key, 0, -1)
        }
        for id in [id for id in self.lost if id in self.waiting and id not in there]:
            del self.waiting[id]
            self.lost.discard(id)

    def can_take(self, worker: int) -> list[tuple[int, Task]]:
        return [
            (id, task)
            for id, task in self.waiting.items()
            if worker not in task.votes and id not in self.lost and self.may_start(task.new.group)
        ]

    def is_for_others(self, task: Task, worker: int) -> bool:
        return bool(self.retry_delay) and task.failed_by == worker and self.now < task.elsewhere

    def take_back(self, ids: set[int], *, counted: bool = True) -> None:
        """They wait again, unless they have no record or were reclaimed too often."""
        for id in ids:
            task = self.let_go(id)
            if task is not None and counted:
                task.reclaims += 1
                if 0 < self.max_reclaims < task.reclaims:
                    self.failed[id] = self.waiting.pop(id)
                    task.error = True

    def let_go(self, id: int, *, waits: bool = True) -> Task | None:
        task = self.held.pop(id).task
        self.running[task.new.group] -= 1
        if id in self.lost:
            self.lost.discard(id)
            return None
        if waits:
            self.waiting[id] = task
        return task

    async def release(self, worker: int | None = None, *, well: bool = False) -> None:
        worker = worker or self.chance.choice(self.workers)
        mine = sorted(id for id, held in self.held.items() if held.worker == worker)
        if not well:
            mine = self.chance.sample(mine, min(len(mine), self.chance.choice([1, 1, 5])))
        kinds = [0 if well else self.chance.choice([0, 0, 0, 1, 2]) for _ in mine]
        votes = [7 if well else self.chance.choice([7, 7, 7, 8]) for _ in mine]
        delays = [0 if well else self.chance.choice([0, 0, 0, 70, 900]) for _ in mine]
        each = list(zip(mine, kinds, votes, delays, strict=True))
        releases = [(id, result_of(kind, delay / 1000, "why" * kind), vote) for id, kind, vote, delay in each]
        outcomes = (await self.store.tasks.release(self.project, worker, releases)).outcomes
        for (id, kind, vote, delay), outcome in zip(each, outcomes, strict=True):
            task = self.let_go(id, waits=False)
            if task is None:
                assert outcome == "not_held"
                continue
            assert outcome == self.released(task, worker, kind, vote)
            if outcome == "failed":
                self.failed[id] = task
            elif outcome == "closed" and delay:
                task.begin_anew()
                task.votes.clear()
                task.round += 1
                self.put_off(id, task, delay, delay)
            elif outcome == "returned" and delay:
                self.put_off(id, task, delay, delay)
            elif outcome == "returned" and kind == 1 and self.retry_delay:
                longest = max(60_000, self.retry_delay)
                self.put_off(id, task, self.retry_delay, round(1.1 * longest) + 1)
            elif outcome != "closed":
                self.waiting[id] = task
            if kind == 1 and id in self.delayed:
                task.failed_by, task.elsewhere = worker, task.until + min(task.until - self.now, 60_000)

    def put_off(self, id: int, task: Task, least: int, most: int) -> None:
        task.until = int(self.redis.zscore(f"{self.base}:delayed", id))
        assert least <= task.until - self.now <= most
        self.delayed[id] = task

    def released(self, task: Task, worker: int, kind: int, vote: int) -> str:
        if kind == 1:
            task.retries += 1
            task.error, task.failed_by = True, 0
            return "failed" if task.retries >= task.new.max_retries else "returned"
        if kind == 0 and task.new.verification_count > 1:
            task.votes[worker] = vote
            agree, needed = list(task.votes.values()).count(vote), task.new.verification_count
            if agree < needed and 0 < max(self.max_votes, needed) * bool(self.max_votes) <= len(task.votes):
                task.error = task.disagree = True
                return "failed"
            return "closed" if agree >= needed else "voted"
        return "closed" if kind == 0 else "returned"

    def retried(self, task: Task) -> None:
        if task.disagree:
            task.votes.clear()
        task.disagree = False
        task.begin_anew()

    async def reclaim(self) -> None:
        overdue = sorted((held.deadline, id) for id, held in self.held.items() if held.deadline <= self.now)
        count = self.chance.choice([1, 5, 100])
        await self.store.tasks.reclaim(self.project, count)
        still = {int(member.split(":")[0]) for member in self.redis.zrange(f"{self.base}:assigned", 0, -1)}
        gone = {id for _, id in overdue} - still
        assert len(gone) == min(count, len(overdue))
        self.take_back(gone)

    async def remove(self) -> None:
        # Without its record nobody knows in which group a task waits: it is dropped when its turn comes.
        there = sorted(set(self.waiting) - self.lost)
        there += sorted(set(self.delayed) - self.lost)
        for id in self.chance.sample(there, min(len(there), self.chance.choice([1, 3, 10]))):
            await self.store.project_tasks.remove(self.project, id)
            self.waiting.pop(id, None)
            self.delayed.pop(id, None)
        if self.held and self.chance.random() < 0.3:
            id = self.chance.choice(sorted(self.held))
            if id in self.lost and self.holders_lost:
                return
            await self.store.project_tasks.remove(self.project, id)
            self.let_go(id, waits=False)

    async def reclaim_worker(self) -> None:
        worker = self.chance.choice(self.workers)
        its = {id for id, held in self.held.items() if held.worker == worker}
        assert await self.store.project_tasks.reclaim(self.project, worker) == len(its - self.lost)
        self.take_back(its, counted=False)

    async def give_back(self) -> None:
        worker = self.chance.choice(self.workers)
        its = {id for id, held in self.held.items() if held.worker == worker}
        some = self.chance.sample(sorted(self.held), min(3, len(self.held)))
        returned = await self.store.tasks.give_back(self.project, worker, some)
        assert returned == [id in its for id in some]
        self.take_back(its & set(some))

    async def cancel(self) -> None:
        there = sorted({*self.waiting, *self.held, *self.failed, *self.delayed} - self.lost)
        some = self.chance.choices(there, k=self.chance.choice([1, 3, 20])) if there else []
        cancelled = await self.store.tasks.cancel(self.project, self.workers[0], some)
        for id, gone in zip(some, cancelled, strict=True):
            places = (self.waiting, self.failed, self.delayed)
            assert gone is any(id in place for place in places)
            for place in places:
                place.pop(id, None)

    async def remove_group(self) -> None:
        group = self.chance.choice(self.groups)
        if not group:
            return
        gone = [id for id, task in self.waiting.items() if task.new.group == group]
        delayed = [id for id, task in self.delayed.items() if task.new.group == group and id not in self.lost]
        affected = await self.store.maintenance.remove_group(self.project, group)
        assert affected == len(gone) + len(delayed)
        for id in gone:
            del self.waiting[id]
            self.lost.discard(id)
        for id in delayed:
            del self.delayed[id]

    async def change_limits(self) -> None:
        """A manager changes limits of a group."""
        group = self.chance.choice(self.groups)
        if not group:
            return
        its, chance = self.limits[group], self.chance
        delay = chance.choice([None, None, -1, 0, 100, 2000])
        limit = chance.choice([None, None, -1, 0, 1, 3])
        blocked = chance.choice([None, None, 0, 50, 500, 5000])
        found = await self.store.groups.set_limits(
            self.project,
            group,
            delay=None if delay is None else seconds(delay),
            limit=limit,
            blocked_for=None if blocked is None else seconds(blocked),
            by="manager 1",
        )
        if delay is not None:
            its.delay, its.slowed = None if delay < 0 else delay, 0
        if limit is not None:
            its.limit = None if limit < 0 else limit
        if blocked is not None:
            its.blocked = self.now + blocked
        if (delay, limit, blocked) != (None, None, None):
            its.by_manager = True
        assert (found.delay, found.limit) == (self.delay_of(group) / 1000, self.limit_of(group))

    async def slow_down(self) -> None:
        """A worker slows down groups of tasks that it holds."""
        worker, chance = self.chance.choice(self.workers), self.chance
        changes = [
            (id, chance.choice([0, 0, -1, 300, 5000, 60_000]), chance.choice([0, 0, -1, 200, 4000]))
            for id in chance.sample(sorted(self.held), min(3, len(self.held)))
        ]
        as_seconds = [(id, seconds(delay), seconds(blocked)) for id, delay, blocked in changes]
        await self.store.groups.slow(self.project, worker, as_seconds)
        for id, delay, blocked in changes:
            group = self.held[id].task.new.group
            if not group or id in self.lost or self.held[id].worker != worker:
                continue
            its = self.limits[group]
            by_manager = its.by_manager and (its.delay is not None or its.limit is not None or its.blocked > self.now)
            if delay:
                least = self.delay if its.delay is None else its.delay
                its.slowed = delay if delay > least else 0
            if blocked > 0:
                its.blocked = max(its.blocked, self.now + blocked)
            elif blocked and not by_manager:
                its.blocked = 0
            its.by_manager = by_manager

    async def promote(self) -> None:
        await self.store.tasks.promote(self.project, self.chance.choice([1, 5, 50]))

    async def retry_failed(self) -> None:
        for id in [id for id in sorted(self.failed) if self.chance.random() < 0.5]:
            await self.store.project_tasks.retry(self.project, id)
            self.waiting[id] = self.failed.pop(id)
            self.retried(self.waiting[id])

    async def lose(self) -> None:
        there = sorted({*self.waiting, *self.held, *self.delayed} - self.lost)
        if self.chance.random() < 0.5 and there:
            id = self.chance.choice(there)
            lose_record(self.redis, self.base.split(":")[0], id)
            self.lost.add(id)
            if id in self.held and self.chance.random() < 0.3:
                self.redis.hdel(f"{self.base}:holders", id)
                self.holders_lost = True

    async def drain(self) -> None:
        operation = self.chance.choice(["reset_failed", "reclaim_assigned", "reclaim_assigned", "hard_reset"])
        if operation == "hard_reset" and self.chance.random() < 0.6:
            return
        maintenance = self.store.maintenance
        concerned: dict[str, list[Sized]] = {
            "reset_failed": [self.failed],
            "reclaim_assigned": [self.held],
            "hard_reset": [self.failed, self.held, self.waiting, self.delayed],
        }
        affected = await maintenance.begin_drain(self.project, operation)
        assert affected == sum(map(len, concerned[operation]))
        if operation == "hard_reset":
            for tasks in (self.waiting, self.failed, self.held, self.delayed, self.lost, self.running):
                tasks.clear()
            if self.chance.random() < 0.5:
                # Groups rest on, also before the reset is processed.
                self.draining = True
                await self.submit()
                await self.assign()
                self.draining = False
        more = True
        while more:
            _, more = await maintenance.drain(self.project, self.chance.choice([1, 7, 500]))
        if operation == "reset_failed":
            for task in self.failed.values():
                self.retried(task)
            self.waiting |= self.failed
            self.failed.clear()
        elif operation == "reclaim_assigned":
            self.take_back(set(self.held), counted=False)

    def due(self) -> dict[str, float]:
        return dict(self.redis.zrange(f"{self.base}:due", 0, -1, withscores=True))

    def epoch(self) -> int:
        return int(self.redis.hget(self.base, "limits_epoch") or 0)

    def check(self) -> None:
        """Checks the invariants between keys."""
        self.settle()
        self.forget_dropped()
        live = {**self.waiting, **self.failed, **self.delayed, **{id: held.task for id, held in self.held.items()}}
        errors = {int(id) for id in self.redis.hkeys(f"{self.base}:errors")}
        assert errors - self.lost == {id for id, task in live.items() if task.error} - self.lost
        fields = self.redis.hgetall(self.base)
        gen = fields.get("group_gen", "0")
        keys = keys_like(self.redis, f"{self.base}:*")
        due, resting, ready, ready_voted = (
            dict(self.redis.zrange(f"{self.base}:{name}", 0, -1, withscores=True))
            for name in ("due", "resting", "ready", "ready_voted")
        )
        heads: dict[str, dict[str, float]] = {"wait": {}, "verify": {}}
        counts = {"wait": 0, "verify": 0}
        for name, of_groups in heads.items():
            prefix = f"{self.base}:{name}:"
            for key in (key for key in keys if key.startswith(prefix)):
                its_gen, group = key.removeprefix(prefix).split(":", 1)
                assert its_gen == gen, "tasks of a reset are left"
                of_groups[group] = self.redis.zrange(key, 0, 0, withscores=True)[0][1]
                counts[name] += self.redis.zcard(key)
        assert int(fields.get("group_waiting", 0)) == counts["wait"]
        assert int(fields.get("group_verifying", 0)) == counts["verify"]
        assert sum(counts.values()) == sum(1 for task in self.waiting.values() if task.new.group)
        for group in {*heads["wait"], *heads["verify"]}:
            assert group not in resting
            if group in due:
                assert group not in ready
                assert group not in ready_voted
                self.check_due(group, due[group])
                continue
            for name, tickets in (("wait", ready), ("verify", ready_voted)):
                assert (group in heads[name]) == (group in tickets), f"a ticket of {group}"
                if group in tickets:
                    level = 0 if fields.get("group_order") == "fair" else math.floor(heads[name][group] / STEP)
                    assert self.fair or math.floor(tickets[group] / STEP) == level
        assert not set(ready) - set(heads["wait"])
        assert not set(ready_voted) - set(heads["verify"])
        assert not set(due) - {*heads["wait"], *heads["verify"]}
        if not self.holders_lost:
            there = {key.removeprefix(f"{self.base}:held:"): self.redis.scard(key) for key in keys if ":held:" in key}
            assert there == {group: count for group, count in self.running.items() if count and group}

    def check_due(self, group: str, score: float) -> None:
        """Checks that no group is checked again later than it may start."""
        if score < FULL:
            assert score <= max(self.may_start_at(group), self.limits[group].blocked, self.now)
        elif score == FULL + self.epoch():
            limit = self.limit_of(group)
            assert limit
            assert self.running[group] >= limit or self.holders_lost
        else:
            assert self.redis.hget(self.base, "limits_walk") == "1"

    async def check_pages(self) -> None:
        """Each group is listed once in its state, and counted there."""
        stats = (await self.store.monitoring.stats(self.project))._asdict()
        for state in GROUP_STATES:
            listed, after = [], ""
            while True:
                limit = self.chance.choice([1, 3, 500])
                after, rows = await self.store.groups.page(self.project, state, after, limit)
                listed += rows
                if not after:
                    break
            names = [row.group for row in listed]
            assert sorted(names) == sorted(self.in_state(state))
            # With and without votes, or at the end of a rest in a block, a group may be counted otherwise.
            assert stats[f"groups_{state}"] == len(names) or state == "ready"
            for row in listed:
                blocked = self.limits[row.group].blocked
                assert row.waiting == sum(1 for task in self.waiting.values() if task.new.group == row.group)
                assert row.running == self.running[row.group] or self.holders_lost
                assert (row.delay, row.limit) == (self.delay_of(row.group) / 1000, self.limit_of(row.group))
                assert row.blocked_until == (blocked / 1000 if blocked > self.now else None)

    def in_state(self, state: str) -> set[str]:
        ready, voted, due, resting = (
            dict(self.redis.zrange(f"{self.base}:{name}", 0, -1, withscores=True))
            for name in ("ready", "ready_voted", "due", "resting")
        )
        startable = {*ready, *voted, *(name for name in due if due[name] <= self.now)}
        its = {
            "ready": {name for name in startable if self.limits[name].blocked <= self.now},
            "resting": {group for group, score in [*due.items(), *resting.items()] if self.now < score < FULL},
            "full": {group for group, score in due.items() if score >= FULL},
            "blocked": {group for group, its in self.limits.items() if its.blocked > self.now},
        }
        return its[state]

    async def run_dry(self) -> None:
        """Closes everything, and checks that nothing is left."""
        fields = {"group_delay": 0.7, "group_limit": 2, "max_reclaims": 0, "max_votes": 0}
        await self.store.projects.update(None, self.project, fields)
        self.max_reclaims = self.max_votes = 0
        self.delay, self.limit = 700, 2
        for group in self.limits:
            await self.store.groups.set_limits(self.project, group, delay=-1, limit=-1, blocked_for=0, by="manager 1")
            self.limits[group] = Limits()
        for n in range(3000):
            if not self.waiting and not self.held and not self.delayed:
                break
            self.advance(700)
            worker = self.workers[n % len(self.workers)]
            await self.assign(worker, 20)
            await self.release(worker, well=True)
        assert not self.waiting
        assert not self.held
        assert not self.delayed
        self.advance(400_000)
        more = True
        while more:
            more = (await self.store.tasks.promote(self.project, 50)).more
        await self.assign(self.workers[0], 20)
        left = [key.removeprefix(self.base) for key in keys_like(self.redis, f"{self.base}:*")]
        strange = [
            key
            for key in left
            if key.split(":")[1]
            in {"delayed", "wait", "verify", "due", "resting", "ready", "ready_voted", "limits", "blocked"}
        ]
        assert not strange
        assert self.holders_lost or not [key for key in left if ":held:" in key]
