"""Worker records are kept in memory, and no change is ever missed for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from broker.errors import BrokerError, Unavailable
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.workers import FRESH, Worker, WorkerRecords


class Directory:
    """What Redis would say, at a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.version = 1
        self.alias = "old"
        self.asked: list[list[int]] = []
        self.away = False
        self.records = WorkerRecords(self.read, lambda: self.now)

    async def read(self, ids: Sequence[int]) -> tuple[int, list[Worker | None]]:
        self.asked.append(list(ids))
        if self.away:
            raise Unavailable("away")
        return self.version, [Worker(id, self.alias, 0, False, "") for id in ids]

    def change(self, alias: str) -> None:
        self.alias = alias
        self.version += 1

    async def alias_of(self, id: int) -> str:
        record = await self.records.get(id)
        await asyncio.sleep(0)  # lets a refresh that this began end
        assert record is not None
        return record.worker.alias


async def test_a_record_is_asked_for_once_while_it_is_fresh() -> None:
    directory = Directory()
    for _ in range(10):
        assert await directory.alias_of(7) == "old"
    assert directory.asked == [[7]]


async def test_while_requests_come_the_version_alone_is_asked_for() -> None:
    directory = Directory()
    for _ in range(20):
        await directory.alias_of(7)
        directory.now += 0.005
    assert directory.asked[0] == [7]
    assert set(map(tuple, directory.asked[1:])) == {()}
    assert 3 <= len(directory.asked) <= 6


async def test_a_change_drops_what_was_kept() -> None:
    directory = Directory()
    await directory.alias_of(7)
    directory.change("new")
    directory.now += 0.03

    assert await directory.alias_of(7) == "old"
    assert await directory.alias_of(7) == "new"


async def test_a_record_ends_when_the_version_has_not_been_heard_of() -> None:
    directory = Directory()
    await directory.alias_of(7)
    directory.away = True
    directory.now += FRESH - 0.001
    assert await directory.alias_of(7) == "old"

    directory.now += 0.002
    with pytest.raises(Unavailable):
        await directory.records.get(7)


async def test_an_answer_that_was_overtaken_is_not_kept() -> None:
    directory = Directory()
    await directory.alias_of(7)
    directory.version = 3
    await directory.alias_of(8)
    directory.version, directory.alias = 2, "overtaken"

    assert await directory.alias_of(9) == "overtaken"
    directory.version, directory.alias = 3, "now"

    assert await directory.alias_of(9) == "now"


async def test_workers_that_are_not_there_are_asked_for_each_time() -> None:
    asked: list[Sequence[int]] = []

    async def read(ids: Sequence[int]) -> tuple[int, list[Worker | None]]:
        asked.append(ids)
        return 1, [None for _ in ids]

    records = WorkerRecords(read, lambda: 100.0)
    assert [await records.get(7), await records.get(7)] == [None, None]
    assert len(asked) == 2


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator[Store]:
    """A second process on the same store."""
    opened = open_store(settings)
    yield opened
    await opened.close()


async def test_a_rotated_secret_has_ended_in_every_process_when_the_call_answers(store: Store, other: Store) -> None:
    worker, secret = await store.workers.create("w")
    for _ in range(5):
        assert await other.workers.authenticate(worker.id, secret.encode()) == worker
        fresh = await store.workers.rotate_secret(worker.id)

        for process in (store, other):
            with pytest.raises(BrokerError):
                await process.workers.authenticate(worker.id, secret.encode())
        secret = fresh
        worker = await other.workers.authenticate(worker.id, secret.encode())


async def test_pause_and_rename_hold_in_every_process_when_the_call_answers(store: Store, other: Store) -> None:
    worker, secret = await store.workers.create("w")

    async def keeps_asking() -> None:
        while True:
            await other.workers.authenticate(worker.id, secret.encode())
            await asyncio.sleep(0)

    asking = asyncio.create_task(keeps_asking())
    for n in range(5):
        await store.workers.pause(worker.id, n % 2 == 0)
        assert (await other.workers.authenticate(worker.id, secret.encode())).paused is (n % 2 == 0)
        await store.workers.rename(worker.id, f"name {n}")
        assert (await other.workers.authenticate(worker.id, secret.encode())).alias == f"name {n}"
    while not asking.done():
        asking.cancel()
        await asyncio.wait([asking], timeout=0.1)
