"""How a call that names many tasks leaves room for others."""

import asyncio

import pytest

from broker.api.batches import each
from broker.errors import Invalid


async def test_other_calls_have_their_turn_after_each_hundred_requests_that_are_checked() -> None:
    checked: list[int] = []
    turns: list[int] = []

    async def others() -> None:
        while len(checked) < 250:
            turns.append(len(checked))
            await asyncio.sleep(0)

    def check(number: int) -> int:
        checked.append(number)
        return -number

    made, _ = await asyncio.gather(each(list(range(250)), check, "requests"), others())

    assert made == [-n for n in range(250)]
    assert turns == [100, 200]


async def test_a_refusal_names_the_request_also_beyond_the_first_hundred() -> None:
    def refused(number: int) -> int:
        if number == 123:
            raise Invalid("recipe: required")
        return number

    with pytest.raises(Invalid) as error:
        await each(list(range(250)), refused, "requests")

    assert error.value.message == "requests[123].recipe: required"
