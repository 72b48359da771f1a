"""A coroutine that runs in the background goes on whatever it raises, and the log says what that was."""

import asyncio

import pytest

from broker.background import supervised


async def test_what_raises_is_called_again_and_the_same_error_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    raising = [RuntimeError("the handler is closed")] * 3 + [ValueError("another")]

    async def work() -> None:
        if raising:
            raise raising.pop(0)

    await asyncio.wait_for(supervised("sweeping", work, pause=0), 5)

    assert not raising
    assert [record.message for record in caplog.records] == ["sweeping failed, and is started again in 0 s"] * 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError, ValueError]


async def test_it_can_be_cancelled() -> None:
    task = supervised("listening", asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
