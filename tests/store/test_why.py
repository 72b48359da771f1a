"""Why a worker gets no task, by the rules by which a get decides."""

import random

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.groups import Groups
from broker.store.task_fields import TaskFields
from broker.store.tasks import FAIL, Reason
from tests.store.conftest import NOON, StoreFleet, new
from tests.stores import looking_into, lose_record


def grouped(group: str, *, votes: int = 1, delay: float = 0) -> TaskFields:
    start = f"+{round(delay * 1000)}" if delay else ""
    return new(votes=votes)._replace(group=group, start=start)


async def codes(fleet: StoreFleet, project: int, worker: int) -> list[str]:
    return [reason.code for reason in await fleet.store.tasks.why(project, worker)]


async def test_each_reason_stands_for_what_a_get_meets(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker, stranger = await fleet.worker(project), await fleet.worker()
    why = fleet.store.tasks.why

    assert await why(project, worker) == [Reason("nothing_waits", None, None)]
    assert await codes(fleet, project, stranger) == ["no_access", "nothing_waits"]
    await fleet.store.workers.request_access(project, stranger, assign=True, submit=False)
    assert await codes(fleet, project, stranger) == ["access_pending", "nothing_waits"]

    await fleet.store.workers.revoke(project, stranger)
    assert await codes(fleet, project, stranger) == ["rejected", "nothing_waits"]
    await fleet.store.workers.request_access(project, stranger, assign=True, submit=False)

    await fleet.submit(project, worker, new())
    assert await why(project, worker) == [Reason("available", None, None)]
    assert await codes(fleet, project, stranger) == ["access_pending"]
    await fleet.store.projects.update(fleet.manager, project, {"paused": True})
    assert await codes(fleet, project, worker) == ["paused"]
    assert await codes(fleet, project, stranger) == ["paused", "access_pending"]
    await fleet.store.projects.update(fleet.manager, project, {"paused": False, "public": True})
    assert await codes(fleet, project, stranger) == ["available"]

    (task,) = await fleet.take(project, worker)
    held = Reason("held", NOON // 1000 + 3600, 1)
    assert await why(project, worker) == [Reason("nothing_waits", None, None), held]
    await fleet.release(project, worker, task.id, FAIL)
    assert await why(project, worker) == [Reason("nothing_waits", None, None), Reason("failed", None, 1)]


async def test_a_rate_says_until_when(fleet: StoreFleet) -> None:
    project = await fleet.project(assign_rate=0.1)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(), new())
    assert await codes(fleet, project, worker) == ["available"]
    await fleet.take(project, worker)

    assert await fleet.store.tasks.why(project, worker) == [Reason("rate_limited", NOON // 1000 + 10, None)]

    fleet.passes(9.999)
    assert await codes(fleet, project, worker) == ["rate_limited"]
    fleet.passes(0.001)
    assert await codes(fleet, project, worker) == ["available"]


async def test_a_worker_that_has_voted_on_all_tasks_is_told_so(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker, other = await fleet.worker(project), await fleet.worker(project)
    await fleet.submit(project, worker, new(votes=2), grouped("a", votes=2))
    for _ in range(2):
        (task,) = await fleet.take(project, worker)
        assert await fleet.release(project, worker, task.id) == "voted"

    assert await fleet.store.tasks.why(project, worker) == [Reason("voted", None, None)]
    assert await codes(fleet, project, other) == ["available"]


async def test_what_is_behind_more_votes_than_one_look_takes_is_found(fleet: StoreFleet, redis_url: str) -> None:
    project = await fleet.project()
    worker, other = await fleet.worker(project), await fleet.worker(project)
    await fleet.submit(project, worker, grouped("last", votes=3)._replace(priority=-5))
    (last,) = await fleet.take(project, other)
    await fleet.release(project, other, last.id)
    for part in range(6):
        many = [*[new(votes=3)] * 300, *[grouped(f"{part} {n}", votes=3) for n in range(150)]]
        await fleet.submit(project, worker, *many)
        tasks = await fleet.take(project, worker, 450)
        await fleet.store.tasks.release(project, worker, [(task.id, 0, 1) for task in tasks])
    with looking_into(redis_url) as redis:
        # What it has learned expires after a day.
        redis.delete(f"{fleet.store.keys.project(project)[0]}:seen:{worker}")

    assert await codes(fleet, project, worker) == ["available"]
    assert [task.id for task in await fleet.take(project, worker)] == [last.id]
    await fleet.release(project, worker, last.id)
    with looking_into(redis_url) as redis:
        redis.delete(f"{fleet.store.keys.project(project)[0]}:seen:{worker}")
    assert await codes(fleet, project, worker) == ["voted"]


async def test_groups_that_rest_are_full_or_blocked_are_told_apart(fleet: StoreFleet) -> None:
    project = await fleet.project(group_delay=10)
    worker, groups = await fleet.worker(project), fleet.store.groups
    await fleet.submit(project, worker, *[grouped("rests")] * 2, *[grouped("full")] * 2, *[grouped("blocked")] * 2)
    await groups.set_limits(project, "full", delay=0, limit=1)
    assert len(await fleet.take(project, worker, 3)) == 3
    await groups.set_limits(project, "blocked", blocked_for=60)

    second = NOON // 1000
    held = Reason("held", second + 3600, 3)
    assert await fleet.store.tasks.why(project, worker) == [
        Reason("groups_resting", second + 10, 1),
        Reason("groups_full", None, 1),
        Reason("groups_blocked", second + 60, 1),
        held,
    ]
    fleet.passes(10)
    assert await codes(fleet, project, worker) == ["available"]
    assert len(await fleet.take(project, worker)) == 1
    assert await codes(fleet, project, worker) == ["groups_full", "groups_blocked", "held"]
    fleet.passes(50)
    assert await codes(fleet, project, worker) == ["available"]


async def test_a_block_and_a_limit_that_came_after_the_ticket_count(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker, groups = await fleet.worker(project), fleet.store.groups
    await fleet.submit(project, worker, *[grouped("a")] * 2, *[grouped("b")] * 2)
    assert len(await fleet.take(project, worker, 2)) == 2
    await fleet.store.projects.update(fleet.manager, project, {"group_limit": 1})
    await groups.set_limits(project, "b", blocked_for=60)

    assert await codes(fleet, project, worker) == ["groups_full", "groups_blocked", "held"]
    assert await fleet.take(project, worker) == []
    assert await codes(fleet, project, worker) == ["groups_full", "groups_blocked", "held"]


async def test_delayed_tasks_and_those_whose_deadline_is_over_come_in_time(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, grouped("", delay=5), grouped("a", delay=7.5), new(seconds=20))
    await fleet.take(project, worker)

    second = NOON // 1000
    nothing, held = Reason("nothing_waits", None, None), Reason("held", second + 20, 1)
    assert await fleet.store.tasks.why(project, worker) == [nothing, Reason("delayed", second + 5, 2), held]
    fleet.passes(5)
    assert await codes(fleet, project, worker) == ["available"]
    assert len(await fleet.take(project, worker, 2)) == 1
    assert (await fleet.store.tasks.why(project, worker))[1] == Reason("delayed", second + 8, 1)
    fleet.passes(15)
    assert await codes(fleet, project, worker) == ["available"]


async def test_tasks_that_a_maintenance_call_has_taken_out_of_reach_are_told(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id, FAIL)
    await fleet.store.maintenance.begin_drain(project, "reset_failed")

    assert await codes(fleet, project, worker) == ["nothing_waits", "draining"]


async def test_tasks_without_their_record_are_nothing(fleet: StoreFleet, settings: Settings, redis_url: str) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = await fleet.submit(project, worker, new(), grouped("a"))
    with looking_into(redis_url) as redis:
        for id in ids:
            lose_record(redis, settings.prefix, id or 0)

    assert "available" not in await codes(fleet, project, worker)
    assert await fleet.take(project, worker) == []
    assert await codes(fleet, project, worker) == ["nothing_waits"]


async def test_no_such_project(fleet: StoreFleet) -> None:
    with pytest.raises(BrokerError) as refused:
        await fleet.store.tasks.why(99, 1)
    assert refused.value.code == "not_found"


class Walk:
    """Random calls; before each get, why says whether it will find something."""

    def __init__(self, seed: int, fleet: StoreFleet, project: int, workers: list[int]) -> None:
        self.chance = random.Random(seed)
        self.fleet, self.project, self.workers = fleet, project, workers
        self.held: list[tuple[int, int]] = []
        self.said = {True: 0, False: 0}

    async def step(self) -> None:
        chance, tasks, worker = self.chance, self.fleet.store.tasks, self.chance.choice(self.workers)
        self.fleet.passes(chance.choice([0, 0, 0.001, 0.3, 2, 30]))
        match chance.choice("ssssggggggggrrrrrrclbdt"):
            case "s":
                some = [
                    grouped(chance.choice(["", "a", "b", "c"]), votes=chance.choice([1, 1, 2, 3]), delay=delay)
                    for delay in chance.choices([0, 0, 0, 3], k=chance.choice([1, 1, 3]))
                ]
                await self.fleet.submit(self.project, self.workers[0], *some)
            case "g":
                await self.get(worker)
            case "r" if self.held:
                task, holder = self.held.pop(chance.randrange(len(self.held)))
                await tasks.release(
                    self.project, holder, [(task, chance.choice([0, 0, 0, 1, 2]), chance.choice([1, 2]))]
                )
            case "c":
                fields: dict[str, float] = {
                    "group_delay": chance.choice([0, 2]),
                    "group_limit": chance.choice([0, 1, 2]),
                }
                fields |= {"paused": chance.random() < 0.1, "assign_rate": chance.choice([0, 0, 0, 0.5])}
                fields |= {"retry_delay": chance.choice([0, 1])}
                await self.fleet.store.projects.update(self.fleet.manager, self.project, fields)
            case "l" | "b":
                await self.limit(self.fleet.store.groups)
            case "d":
                await self.fleet.store.maintenance.run(self.project, "reset_failed")
            case "t":
                await tasks.promote(self.project, 3)

    async def limit(self, groups: Groups) -> None:
        group, chance = self.chance.choice("abc"), self.chance
        blocked = chance.choice([None, 0, 5])
        await groups.set_limits(self.project, group, limit=chance.choice([-1, 1]), blocked_for=blocked)

    async def get(self, worker: int) -> None:
        said = await codes(self.fleet, self.project, worker)
        try:
            found = await self.fleet.take(self.project, worker, self.chance.choice([1, 1, 3]))
        except BrokerError as refused:
            found, code = [], {"denied": "no_access"}.get(refused.code, refused.code)
        else:
            code = said[0]
        assert code in said
        assert bool(found) is (said == ["available"]), (said, found)
        assert said
        self.said[bool(found)] += 1
        self.held += [(task.id, worker) for task in found]


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_said_before_a_get_is_what_it_meets(fleet: StoreFleet, seed: int) -> None:
    project = await fleet.project(max_reclaims=3)
    workers = [await fleet.worker(project) for _ in range(3)] + [await fleet.worker()]
    walk = Walk(seed, fleet, project, workers)

    for _ in range(250):
        await walk.step()

    assert min(walk.said.values()) > 10
