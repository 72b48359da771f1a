"""A coroutine that begins at once, without a task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker.eager import Begun

Waits = Callable[["asyncio.Future[int]"], Coroutine[Any, Any, int]]


async def double(number: "asyncio.Future[int]") -> int:
    return 2 * await number


async def none_then_double(number: "asyncio.Future[int]") -> int:
    await asyncio.sleep(0)
    return await double(number)


async def in_time(number: "asyncio.Future[int]") -> int:
    async with asyncio.timeout(20):
        return await double(number)


WAITS = pytest.mark.parametrize("waits", [double, none_then_double, in_time])


@WAITS
@pytest.mark.parametrize("soon", [True, False], ids=["before", "meanwhile"])
async def test_what_it_waits_for_may_come_before_it_is_awaited(waits: Waits, soon: bool) -> None:
    number = asyncio.get_running_loop().create_future()
    begun = Begun(waits(number))
    if soon:
        number.set_result(3)
    else:
        asyncio.get_running_loop().call_soon(number.set_result, 3)

    assert await begun == 6


@WAITS
@pytest.mark.parametrize("soon", [True, False], ids=["before", "meanwhile"])
async def test_an_error_of_what_it_waits_for_is_raised_in_it(waits: Waits, soon: bool) -> None:
    number = asyncio.get_running_loop().create_future()
    begun = Begun(waits(number))
    if soon:
        number.set_exception(KeyError(3))
    else:
        asyncio.get_running_loop().call_soon(number.set_exception, KeyError(3))

    with pytest.raises(KeyError):
        await begun


async def test_it_runs_up_to_its_first_wait_in_the_order_in_which_it_was_begun() -> None:
    said: list[str] = []

    async def say(name: str) -> str:
        said.append(f"{name} begins")
        await asyncio.sleep(0)
        said.append(f"{name} ends")
        return name

    both = [Begun(say(name)) for name in "ab"]
    said.append("both have begun")

    assert [await one for one in both] == ["a", "b"]
    assert said == ["a begins", "b begins", "both have begun", "a ends", "b ends"]


async def test_it_may_end_without_a_wait() -> None:
    async def at_once(fails: bool) -> int:
        if fails:
            raise KeyError(3)
        return 3

    right, wrong = Begun(at_once(False)), Begun(at_once(True))

    assert await right == 3
    with pytest.raises(KeyError):
        await wrong


async def test_it_is_cancelled_with_the_task_that_awaits_it() -> None:
    seen: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def awaits() -> None:
        await Begun(wait())

    task = asyncio.create_task(awaits())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
