"""One read serves all who ask; its share of the store's time is bounded, counted on a clock that the test moves."""

import asyncio
from collections.abc import Callable

import pytest

from broker.errors import BrokerError
from broker.store.shared_read import SharedRead, SharedReads


class Clock:
    """Time passes when somebody sleeps, or works."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Source:
    """Returns how often it was read; each read takes ``seconds``."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.reads = 0

    async def read(self) -> int:
        self.reads += 1
        answer = self.reads
        await self.clock.sleep(self.seconds)
        return answer


Made = Callable[..., tuple[Source, SharedRead[int]]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(clock: Clock) -> Made:
    def make(seconds: float, **policy: float) -> tuple[Source, SharedRead[int]]:
        source = Source(clock, seconds)
        return source, SharedRead(source.read, clock=clock.read, sleep=clock.sleep, **policy)

    return make


async def test_all_who_ask_at_once_share_one_read(made: Made) -> None:
    source, shared = made(0.01, duty=0.1)

    assert await asyncio.gather(*(shared.get() for _ in range(50))) == [1] * 50
    assert source.reads == 1


async def test_an_answer_is_never_older_than_its_question(made: Made) -> None:
    _, shared = made(0.01, duty=0.1)

    first = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # The read is under way: whoever asks now gets the next one.
    second = asyncio.create_task(shared.get())

    assert [await first, await second, await shared.get()] == [1, 2, 3]


@pytest.mark.parametrize("duty", [0.05, 0.1, 0.5])
async def test_reads_take_no_more_than_their_share_of_the_time(made: Made, clock: Clock, duty: float) -> None:
    source, shared = made(0.02, duty=duty)
    begun = clock.now

    while clock.now - begun < 100:
        await shared.get()

    assert source.reads * source.seconds / (clock.now - begun) == pytest.approx(duty, rel=0.02)


async def test_a_rest_has_a_longest_time(made: Made, clock: Clock) -> None:
    _, shared = made(5, duty=0.1, longest_rest=0.1)
    await shared.get()
    before = clock.now

    await shared.get()

    assert clock.now - before == pytest.approx(0.1 + 5)


async def test_a_result_is_kept_for_its_ttl(made: Made, clock: Clock) -> None:
    source, shared = made(0, duty=0.5, ttl=10)

    assert [await shared.get(), await shared.get()] == [1, 1]
    clock.now += 10
    assert await shared.get() == 2
    assert source.reads == 2


async def test_a_caller_that_would_wait_too_long_gets_the_last_result(made: Made, clock: Clock) -> None:
    _, shared = made(0.02, duty=0.05, patience=0.1)

    assert [await shared.get(), await shared.get()] == [1, 1]
    clock.now += 0.02 * 19
    assert await shared.get() == 2


async def test_a_short_rest_is_waited_for(made: Made, clock: Clock) -> None:
    _, shared = made(0.001, duty=0.05, patience=0.1)
    await shared.get()
    before = clock.now

    assert await shared.get() == 2
    assert clock.now - before == pytest.approx(0.001 * 19 + 0.001)


async def test_one_who_goes_away_does_not_take_the_read_from_the_others(made: Made) -> None:
    _, shared = made(0.01, duty=0.1)
    leaving, staying = (asyncio.create_task(shared.get()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == 1


async def test_a_read_that_fails_fails_for_all_who_share_it_and_is_not_kept(clock: Clock) -> None:
    reads = 0

    async def fail() -> int:
        nonlocal reads
        reads += 1
        await clock.sleep(0.02)
        raise BrokerError("not_found", "No such project")

    shared = SharedRead(fail, duty=0.05, clock=clock.read, sleep=clock.sleep)
    for expected in (1, 2):
        answers = await asyncio.gather(*(shared.get() for _ in range(2)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [BrokerError, BrokerError]
        assert reads == expected


async def test_each_key_has_a_read_of_its_own_and_the_oldest_goes_first() -> None:
    reads: list[str] = []

    async def read(key: str) -> str:
        reads.append(key)
        return key.upper()

    shared = SharedReads(read, most=2, duty=0.5, ttl=3600)

    assert [await shared.get(key) for key in ("a", "b", "a", "c", "a", "b")] == ["A", "B", "A", "C", "A", "B"]
    assert reads == ["a", "b", "c", "b"]
