"""Random walks over the store, checked after each step against a model in plain Python."""

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Any, ClassVar, Literal, get_args

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.api.monitoring import snapshot_view
from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.maintenance import Matching
from broker.store.project_tasks import TaskFilter
from broker.store.task_fields import TaskFields
from tests.store.model import ModelProject
from tests.stores import keys_like, looking_into, lose_record

EDGES = [-(2**63), -1, 1, 2**53 + 1, 2**63 - 1]
DEFAULT_TIME = 100
SNAPSHOT_INTERVAL = 120
WORKERS = st.integers(0, 3)
# Most steps are in one project: else too few tasks would meet.
PROJECTS = st.sampled_from([0, 0, 0, 0, 1, 2])
NEW_TASKS = st.builds(
    TaskFields,
    recipe=st.sampled_from(["r", "\0", "ünï\u2028", "x" * 2000]),
    priority=st.sampled_from([0, 0, 1, -1, 32767, -32768]),
    max_retries=st.sampled_from([0, 1, 2, 32767]),
    max_assign_time=st.sampled_from([0, 1, 50, 2**31 - 1]),
    verification_count=st.sampled_from([1, 1, 2, 3]),
    hash64=st.sampled_from(["", *EDGES]),
    group=st.just(""),
    start=st.just(""),
)
VOTES = st.sampled_from([0, 0, 0, 2**63 - 1, -(2**63)])


class Walk(RuleBasedStateMachine):
    url: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis = looking_into(self.url)
        self.prefix = f"walk-{secrets.token_hex(6)}"
        self.store: Store = self.runner.run(self._open())
        self.concerned: set[int] = set()
        self.now = 1_700_000_000_000
        self.store.set_clock(self.now)

    async def _open(self) -> Store:
        return open_store(Settings(redis_url=self.url, prefix=self.prefix))

    def run(self, call: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await call

        return self.runner.run(done())

    @initialize()
    def a_fleet(self) -> None:
        self.manager = self.run(self.store.managers.register("boss", "a long password", open_to_all=True)).id
        self.workers = [self.run(self.store.workers.create(f"w{n}"))[0].id for n in range(4)]
        self.projects = []
        for n in range(3):
            id = self.run(self.store.projects.create(self.manager, {"name": f"p{n}"}))
            self.projects.append(ModelProject(id))
            for worker in range(3):
                self.grant(n, worker, "assign,submit")

    def at(self, project: int) -> ModelProject:
        """A project that a step changes: it is checked after the step."""
        self.concerned.add(project)
        return self.projects[project]

    @rule(project=PROJECTS, worker=WORKERS, what=st.sampled_from(["assign", "submit", "assign,submit", ""]))
    def access(self, project: int, worker: int, what: str) -> None:
        if what:
            self.grant(project, worker, what)
        else:
            self.revoke(project, worker)

    def grant(self, project: int, worker: int, what: str) -> None:
        model, id = self.at(project), self.workers[worker]
        asked = self.run(
            self.outcome(
                self.store.workers.request_access(model.id, id, assign="assign" in what, submit="submit" in what)
            )
        )
        if id in model.access:
            assert asked == "already_granted"
            return
        assert asked is None
        self.run(self.store.workers.grant(model.id, id))
        model.access[id] = set(what.split(","))

    def revoke(self, project: int, worker: int) -> None:
        model, id = self.at(project), self.workers[worker]
        revoked = self.run(self.outcome(self.store.workers.revoke(model.id, id)))
        assert revoked == (None if model.access.pop(id, None) else "not_found")

    @rule(
        project=PROJECTS,
        paused=st.sampled_from([False, False, False, True]),
        public=st.booleans(),
        remember=st.sampled_from([0, 0, -1, 10]),
        chained=st.booleans(),
    )
    def configure(self, project: int, paused: bool, public: bool, remember: int, chained: bool) -> None:
        model = self.at(project)
        chain = self.projects[project + 1].id if chained and project < 2 else 0
        model.configure(paused=paused, public=public, remember_closed=remember, chain=chain, now=self.now)
        fields = {"paused": paused, "public": public, "remember_closed": remember, "chain": chain}
        self.run(self.store.projects.update(self.manager, model.id, fields))

    @rule(project=PROJECTS, worker=WORKERS, tasks=st.lists(NEW_TASKS, min_size=1, max_size=6))
    def submit(self, project: int, worker: int, tasks: list[TaskFields]) -> None:
        model, id = self.at(project), self.workers[worker]
        call = self.store.tasks.submit(model.id, id, tasks)
        if (refused := model.refuses_submit(id)) is not None:
            assert self.run(self.outcome(call)) == refused
        else:
            assert self.run(call) == model.add(tasks, self.now, "submitted")

    @rule(project=PROJECTS, worker=WORKERS, count=st.sampled_from([1, 1, 1, 2, 100]))
    def assign(self, project: int, worker: int, count: int) -> None:
        model, id = self.at(project), self.workers[worker]
        call = self.store.tasks.assign(model.id, id, count, DEFAULT_TIME)
        if (refused := model.refuses_assign(id)) is not None:
            assert self.run(self.outcome(call)) == refused
            return
        expected = model.assign(id, count, DEFAULT_TIME, self.now)
        got = self.run(call).tasks
        assert [task.id for task in got] == [task.id for task in expected]
        for task, wanted in zip(got, expected, strict=True):
            assert task[1:] == (wanted.retries, 1, self.now // 1000, wanted.new)

    @rule(
        project=PROJECTS,
        worker=WORKERS,
        count=st.sampled_from([1, 2, 5]),
        result=st.sampled_from([0, 0, 1, 1, 2]),
        lost=st.sampled_from([0, 0, 0, 1]),
    )
    def take_and_release(self, project: int, worker: int, count: int, result: int, lost: int) -> None:
        self.assign(project, worker, count)
        model, id = self.at(project), self.workers[worker]
        tasks = sorted(model.held(id), key=lambda task: (self.closes_late(model, task), task))
        for task in tasks[:lost]:
            self.lose(model, task)
        expected = [model.release(id, task, result, 0, self.now) for task in tasks]
        released = self.run(self.store.tasks.release(model.id, id, [(task, result, 0) for task in tasks]))
        assert released.outcomes == expected

    def closes_late(self, model: ModelProject, task: int) -> bool:
        """A release closes those that need votes, or have come back, after the others: so they reach a chain later."""
        n = task // 100_000
        record = self.redis.hget(f"{self.prefix}:{{project:{model.id}}}:tasks:{n // 32}", str(n)) or ""
        has_counts = record.partition("\n")[0].count(" ") > 5
        return has_counts or model.tasks[task].new.verification_count > 1

    @precondition(lambda self: any(project.tasks for project in self.projects))
    @rule(data=st.data(), worker=WORKERS, result=st.sampled_from([0, 0, 0, 1, 2]), vote=VOTES)
    def release(self, data: st.DataObject, worker: int, result: int, vote: int) -> None:
        project = self.at(data.draw(st.sampled_from([n for n, project in enumerate(self.projects) if project.tasks])))
        held = sorted(id for id, task in project.tasks.items() if task.assignee) or sorted(project.tasks)
        task = data.draw(st.sampled_from(held))
        # Usually by its holder.
        by = project.tasks[task].assignee if vote == 0 and project.tasks[task].assignee else self.workers[worker]
        expected = project.release(by, task, result, vote, self.now)
        released = self.run(self.store.tasks.release(project.id, by, [(task, result, vote)]))
        assert released.outcomes == [expected]
        assert released.chained == (1 if expected == "closed" and project.chain else 0)

    @rule(data=st.data(), project=PROJECTS, worker=WORKERS, seconds=st.sampled_from([1, 500, 2**31 - 1]))
    def extend(self, data: st.DataObject, project: int, worker: int, seconds: int) -> None:
        model, id = self.at(project), self.workers[worker]
        tasks = data.draw(st.lists(st.sampled_from([100_000 + model.id, 5, *model.tasks]), max_size=4, unique=True))
        expected = [model.extend(id, task, seconds, self.now) for task in tasks]
        assert self.run(self.store.tasks.extend(model.id, id, tasks, seconds)) == expected

    @rule(ms=st.sampled_from([1, 1000, 60_000, 3_600_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.store.set_clock(self.now)

    @rule(project=PROJECTS, limit=st.sampled_from([1, 3, 500]), what=st.sampled_from(["reclaim", "drain", "other"]))
    def upkeep(self, project: int, limit: int, what: str) -> None:
        if what == "reclaim":
            self.reclaim(project, limit)
        elif what == "drain":
            self.drain(project, limit)
        else:
            self.expire(project)
            self.flush(project)
            self.snapshot(project)

    def snapshot(self, project: int) -> None:
        model = self.at(project)
        due = self.now - model.noted >= SNAPSHOT_INTERVAL * 1000
        assert self.run(self.store.monitoring.take_snapshot(model.id)) is due
        if due:
            model.noted = self.now
            # An equal snapshot is not stored: the one before stands for it.
            newest = self.run(self.newest_snapshot(model.id))
            assert newest == model.snapshot() | {"time_stamp": newest["time_stamp"]}

    async def newest_snapshot(self, project: int) -> dict[str, Any]:
        return snapshot_view(await anext(self.store.monitoring.snapshots(project, None, None)))

    def reclaim(self, project: int, limit: int) -> None:
        model = self.at(project)
        assert self.run(self.store.tasks.reclaim(model.id, limit)) == model.reclaim(limit, self.now)[0]

    @rule(project=PROJECTS, worker=WORKERS)
    def reclaim_worker(self, project: int, worker: int) -> None:
        model, id = self.at(project), self.workers[worker]
        assert self.run(self.store.project_tasks.reclaim(model.id, id)) == model.reclaim_worker(id)

    @rule(project=PROJECTS, worker=st.sampled_from([None, 0, 3]), hash64=st.sampled_from(EDGES))
    def forget(self, project: int, worker: int | None, hash64: int) -> None:
        model, id = self.at(project), None if worker is None else self.workers[worker]
        call = self.store.project_tasks.forget(model.id, hash64, id)
        if id is not None and (refused := model.refuses_submit(id)) is not None:
            assert self.run(self.outcome(call)) == refused
        else:
            assert self.run(call) == model.forget(hash64, self.now)

    def expire(self, project: int) -> None:
        model = self.at(project)
        assert self.run(self.store.tasks.expire_hashes(model.id, 500)) == (model.trim(self.now), False)

    @rule(project=PROJECTS, operation=st.sampled_from(["reset_failed", "reclaim_assigned", "hard_reset"]))
    def begin_drain(self, project: int, operation: str) -> None:
        model = self.at(project)
        assert self.run(self.store.maintenance.begin_drain(model.id, operation)) == model.begin_drain(operation)

    def drain(self, project: int, limit: int) -> None:
        model = self.at(project)
        if model.drains or not model.matching:
            assert self.run(self.store.maintenance.drain(model.id, limit)) == model.drain(limit)
            return
        looked, more = self.run(self.store.maintenance.drain(model.id, limit))
        calls = self.redis.hgetall(f"{self.prefix}:{{project:{model.id}}}:drains")
        first = calls[min(calls, key=int)].split() if len(calls) == len(model.matching) else None
        model.go_on_matching(None if first is None else int(first[1]))
        assert looked <= limit
        assert more is bool(model.matching)
        assert first is None or int(first[3]) == model.matching[0].affected

    @precondition(lambda self: any(project.tasks for project in self.projects))
    @rule(data=st.data(), operation=st.sampled_from(get_args(Matching)), steps=st.sampled_from([0, 1, 4]))
    def match(self, data: st.DataObject, operation: Matching, steps: int) -> None:
        number = data.draw(st.sampled_from([n for n, project in enumerate(self.projects) if project.tasks]))
        model = self.at(number)
        states = sorted({task.zset for task in model.tasks.values()} - {"a drain"}) or ["queue"]
        state = "failed" if operation == "retry_tasks" else data.draw(st.sampled_from(states))
        contains = data.draw(st.sampled_from(["", "", "\u2028", "x" * 900]))
        worker: int | Literal[""] = data.draw(st.sampled_from(["", "", "", *self.workers]))
        call = self.store.maintenance.begin_matching(model.id, operation, TaskFilter(state, contains, "", worker))
        may = model.begin_matching(operation, state, contains, worker)
        assert self.run(self.outcome(call)) == (None if may else "rate_limited")
        for _ in range(steps):
            self.drain(number, data.draw(st.sampled_from([1, 3, 500])))

    @precondition(lambda self: any(project.tasks for project in self.projects))
    @rule(data=st.data(), remove=st.booleans())
    def manage_one(self, data: st.DataObject, remove: bool) -> None:
        project = self.at(data.draw(st.sampled_from([n for n, project in enumerate(self.projects) if project.tasks])))
        task = data.draw(st.sampled_from(sorted(project.tasks)))
        call = self.store.project_tasks.remove if remove else self.store.project_tasks.retry
        expected = project.remove(task) if remove else project.retry(task)
        assert self.run(self.outcome(call(project.id, task))) == (None if expected else "not_found")

    @precondition(lambda self: any(project.tasks for project in self.projects))
    @rule(data=st.data(), worker=WORKERS)
    def cancel(self, data: st.DataObject, worker: int) -> None:
        project = self.at(data.draw(st.sampled_from([n for n, project in enumerate(self.projects) if project.tasks])))
        tasks = data.draw(st.lists(st.sampled_from([100_000 + project.id, 5, *project.tasks]), min_size=1, max_size=4))
        id = self.workers[worker]
        expected = [project.cancel(id, task) for task in tasks]
        assert self.run(self.store.tasks.cancel(project.id, id, tasks)) == expected

    @precondition(lambda self: any(project.tasks for project in self.projects))
    @rule(data=st.data())
    def lose_a_record(self, data: st.DataObject) -> None:
        project = self.at(data.draw(st.sampled_from([n for n, project in enumerate(self.projects) if project.tasks])))
        self.lose(project, data.draw(st.sampled_from(sorted(project.tasks))))

    def lose(self, model: ModelProject, task: int) -> None:
        lose_record(self.redis, self.prefix, task)
        model.tasks[task].lost = True

    def flush(self, project: int) -> None:
        model = self.at(project)
        self.run(self.store.chain.flush(model.id))
        for target, new in model.outbox:
            number = next(n for n, one in enumerate(self.projects) if one.id == target)
            self.at(number).add([new], self.now, "chained")
        model.outbox.clear()

    @staticmethod
    async def outcome(call: Awaitable[Any]) -> str | None:
        """The code of a refusal, None when there was none."""
        try:
            await call
        except BrokerError as error:
            return error.code
        return None

    @invariant()
    def redis_holds_what_the_model_says(self) -> None:
        while self.concerned:
            model = self.projects[self.concerned.pop()]
            base = f"{self.prefix}:{{project:{model.id}}}"
            tasks = model.tasks.values()
            for name in ("queue", "verifying", "assigned", "failed"):
                holder = ":{}" if name == "assigned" else ""
                there = {f"{task.id}{holder.format(task.assignee)}" for task in tasks if task.zset == name}
                assert set(self.redis.zrange(f"{base}:{name}", 0, -1)) == there, name
            scores = {task: self.redis.zscore(f"{base}:queue", task) for task in map(str, model.tasks)}
            assert scores == {str(task.id): task.score if task.zset == "queue" else None for task in tasks}
            self.hashes_are_where_the_model_has_them(base, model)
            assert self.redis.smembers(f"{base}:voted") == {str(id) for id in model.awaiting()}
            for worker in self.workers:
                cursor, held = self.run(self.store.tasks.held(model.id, worker, "0", 1000))
                known = {task for task in model.held(worker) if not model.tasks[task].lost}
                assert (cursor, {task.id for task in held.tasks}) == ("0", known)
            counts = self.run(self.store.monitoring.count_held(model.id))
            assert counts == {worker: len(model.held(worker)) for worker in self.workers if model.held(worker)}
            self.no_key_is_left_over(base, model)
            assert self.redis.xlen(f"{base}:outbox") == len(model.outbox)
            assert self.run(self.store.monitoring.stats(model.id)).counters == model.counters
            assert {int(w): int(n) for w, n in self.redis.hgetall(f"{base}:closed").items()} == model.closed_by
            due = self.run(self.store.active.due(model.id))
            assert due[:5] == (
                bool(model.overdue(self.now)),
                bool(model.outbox),
                model.may_trim(self.now),
                bool(model.drains or model.matching),
                False,
            )

    def hashes_are_where_the_model_has_them(self, base: str, model: ModelProject) -> None:
        def families(*names: str) -> list[dict[str, str]]:
            texts = self.redis.hmget(base, [f"{name}_hashes" for name in names])
            return [self.family(base, *pair) for pair in zip(names, texts, strict=True)]

        known, closed, recent = families("known", "closed", "recent")
        assert known.keys() == {str(hash) for hash in model.hashes()}
        assert closed.keys() == {str(hash) for hash, second in model.remembered.items() if not second}
        assert recent == {str(hash): str(second) for hash, second in model.remembered.items() if second}

    def family(self, base: str, name: str, text: str | None) -> dict[str, str]:
        """A walk has few hashes: all are in one bucket."""
        if text is None:
            return {}
        key = f"{base}:{name}:{text.split()[0]}:0"
        return dict(self.redis.hgetall(key) if name == "recent" else dict.fromkeys(self.redis.smembers(key), ""))

    def no_key_is_left_over(self, base: str, model: ModelProject) -> None:
        votes: set[str] = set()
        records: dict[str, set[str]] = {}
        long: set[str] = set()
        holders: dict[str, int] = {}
        for task in model.tasks.values():
            n = task.id // 100_000
            bucket = records.setdefault(f"{base}:tasks:{n // 32}", set())
            if not task.lost:
                bucket.add(str(n))
                if len(task.new.recipe) > 1024:
                    long.add(f"{base}:recipe:{task.id}")
            if task.votes:
                votes |= {f"{base}:votes:{task.id}", f"{base}:tally:{task.id}"}
            if task.state == "assigned":
                holders[str(task.id)] = task.assignee
        there = keys_like(self.redis, f"{base}:*")
        assert {key for key in there if ":votes:" in key or ":tally:" in key} == votes
        assert {key for key in there if ":recipe:" in key} == long
        buckets = {key: set(self.redis.hkeys(key)) for key in there if ":tasks:" in key}
        assert buckets == {key: fields for key, fields in records.items() if fields}
        found = self.redis.hgetall(f"{base}:holders")
        assert {task: int(value.split()[0]) for task, value in found.items()} == holders

    def teardown(self) -> None:
        self.run(self.store.close())
        for key in keys_like(self.redis, f"{self.prefix}:*"):
            self.redis.delete(key)
        self.redis.close()
        self.runner.close()


def walk(url: str, walks: int) -> None:
    Walk.url = url
    Walk.TestCase.settings = settings(
        max_examples=walks, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck)
    )
    Walk.TestCase().runTest()


def test_random_walks_agree_with_the_model(redis_url: str) -> None:
    walk(redis_url, 20)


@pytest.mark.slow
def test_many_random_walks_agree_with_the_model(redis_url: str) -> None:
    walk(redis_url, 300)
