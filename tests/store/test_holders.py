"""Who holds how much is counted as rarely as it is dear."""

import asyncio

from broker.errors import BrokerError
from broker.store.stats.held_counts import Holders
from broker.store.stats.snapshots import Snapshots


class Counted(Snapshots):
    """Counts that take as long as they are told to."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    async def assignees(self, project: int) -> dict[int, int]:
        self.asked += 1
        held = {7: self.asked}
        await asyncio.sleep(self.seconds)
        if project == 404:
            raise BrokerError("not_found", "No such project")
        return held


async def test_those_who_ask_while_a_count_is_under_way_share_it() -> None:
    counted = Counted(0.001)
    holders = Holders(counted)

    assert await asyncio.gather(*(holders.of(1) for _ in range(50))) == [{7: 1}] * 50
    assert counted.asked == 1


async def test_a_quick_count_is_made_anew_each_time() -> None:
    holders = Holders(Counted(0))

    assert [await holders.of(1), await holders.of(1)] == [{7: 1}, {7: 2}]


async def test_a_count_that_took_long_is_kept_for_its_project_alone() -> None:
    holders = Holders(Counted(0.02))

    assert [await holders.of(1), await holders.of(1), await holders.of(2)] == [{7: 1}, {7: 1}, {7: 2}]


async def test_one_who_goes_away_does_not_take_the_count_from_the_others() -> None:
    holders = Holders(Counted(0.01))
    leaving, staying = (asyncio.create_task(holders.of(1)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == {7: 1}


async def test_a_count_that_fails_fails_for_all_who_share_it_and_is_not_kept() -> None:
    holders = Holders(Counted(0.02))
    for _ in range(2):
        answers = await asyncio.gather(*(holders.of(404) for _ in range(2)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [BrokerError, BrokerError]
