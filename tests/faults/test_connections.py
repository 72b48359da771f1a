"""The store hangs up, or never answers: each call ends once, and is sent once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from broker.errors import Unavailable
from broker.settings import Settings
from broker.store import open_store
from broker.store.task_fields import TaskFields
from tests.resp import command
from tests.stores import looking_into

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(handler: Handler) -> AsyncIterator[str]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def swallowing(commands: list[bytes], *, hang_up: bool) -> Handler:
    """Answers the greeting of redis-py, notes each script call, and then hangs up or says nothing."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while words := await command(reader):
                if words[0] in {b"EVALSHA", b"EVAL"}:
                    commands.append(words[0])
                    if hang_up:
                        return
                else:
                    writer.write(b"+OK\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return handle


@pytest.mark.parametrize("hang_up", [True, False], ids=["hangs up", "says nothing"])
async def test_a_script_whose_answer_is_lost_was_sent_once(hang_up: bool) -> None:
    commands: list[bytes] = []
    async with a_server(swallowing(commands, hang_up=hang_up)) as url:
        store = open_store(Settings(redis_url=url, redis_timeout=0.3))
        with pytest.raises(Unavailable):
            await store.tasks.submit(1, 1, [TaskFields("r")])
        with pytest.raises(Unavailable):
            await store.tasks.assign(1, 1, 1, 60)
        await store.close()

    assert commands == [b"EVALSHA", b"EVALSHA"]


async def test_a_store_that_is_not_there_is_unavailable() -> None:
    store = open_store(Settings(redis_url="unix:///nowhere/store.sock"))

    with pytest.raises(Unavailable):
        await store.tasks.assign(1, 1, 1, 60)

    await store.close()


async def test_a_server_that_forgot_the_scripts_learns_them_again(settings: Settings) -> None:
    store = open_store(settings)
    assert (await store.workers.create("w"))[0].id == 1
    with looking_into(settings.redis_url) as client:
        client.script_flush()

    assert (await store.workers.create("w"))[0].id == 2
    assert (await store.workers.create("w"))[0].id == 3

    await store.close()
