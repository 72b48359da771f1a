"""Many calls over one connection: replies in order, each call answered once, whatever happens to the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Connection
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from broker import redis_url
from broker.settings import Settings
from broker.store.redis import connect
from broker.store.redis.pipeline import LARGE, Pipeline
from tests.resp import command

NONE = "void"
"""A key that does not exist; its slot is in the first third, which the first of three nodes has."""


@asynccontextmanager
async def pipeline(settings: Settings, silence: float = 5) -> AsyncIterator[Pipeline]:
    """To the first node, where the store is a cluster."""
    url = redis_url.parse(settings.redis_url)
    opened = connect(replace(settings, redis_url=url.of(*url.nodes[:1]), redis_timeout=silence))
    assert isinstance(opened, Pipeline)
    yield opened
    await opened.aclose()


@asynccontextmanager
async def echo_server(answers: int) -> AsyncIterator[str]:
    """Answers the greeting, then ``answers`` ECHO commands, and hangs up at the next."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = answers
        try:
            while words := await command(reader):
                if words[0] != b"ECHO":
                    writer.write(b"+OK\r\n")
                elif left:
                    left -= 1
                    writer.write(b"$%d\r\n%s\r\n" % (len(words[1]), words[1]))
                else:
                    break
        except (ConnectionError, OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def hangs_up_after_the_greeting() -> AsyncIterator[str]:
    """Of two commands."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await command(reader)
            writer.write(b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def asked(calls: Pipeline, *command: str | int) -> Any:
    return await calls.execute_command(*command)


async def test_a_thousand_calls_at_once_get_their_own_replies(settings: Settings) -> None:
    async with pipeline(settings) as calls:
        replies = await asyncio.gather(*(calls.execute_command("ECHO", n) for n in range(1000)))

    assert replies == [str(n) for n in range(1000)]


async def test_an_error_is_the_answer_of_its_own_call_only(settings: Settings) -> None:
    async with pipeline(settings) as calls:
        replies = await asyncio.gather(
            calls.execute_command("ECHO", "before"),
            calls.execute_command("NONSENSE"),
            calls.execute_command("ECHO", "after"),
            return_exceptions=True,
        )

    assert replies[0] == "before"
    assert isinstance(replies[1], ResponseError)
    assert replies[2] == "after"


async def test_cancelled_calls_do_not_shift_the_replies_of_others(settings: Settings) -> None:
    async with pipeline(settings) as calls:
        await calls.execute_command("ECHO", "connected")
        tasks = [asyncio.create_task(asked(calls, "ECHO", n)) for n in range(1000)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        replies = await asyncio.gather(*tasks, return_exceptions=True)

    for n, reply in enumerate(replies):
        if n % 3 == 0:
            assert isinstance(reply, asyncio.CancelledError)
        else:
            assert reply == str(n)


async def test_a_call_that_is_cancelled_while_connecting_leaves_the_connection_to_the_others(
    settings: Settings,
) -> None:
    async with pipeline(settings) as calls:
        first, second = (asyncio.create_task(asked(calls, "ECHO", n)) for n in (1, 2))
        await asyncio.sleep(0)
        first.cancel()

        assert await second == "2"


async def test_a_lost_connection_fails_each_call_in_flight_once_and_the_next_call_opens_another() -> None:
    async with echo_server(answers=10) as url, pipeline(Settings(redis_url=url)) as calls:
        replies = await asyncio.gather(*(calls.execute_command("ECHO", n) for n in range(1000)), return_exceptions=True)
        assert replies[:10] == [str(n) for n in range(10)]
        assert {type(reply) for reply in replies[10:]} == {ConnectionError}

        assert await calls.execute_command("ECHO", "again") == "again"


async def test_a_connection_that_the_store_closed_before_it_was_used_fails_the_call_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = Connection.connect

    async def connect_and_hear_the_end(self: Connection) -> None:
        await connect(self)  # type: ignore[no-untyped-call]
        assert self._reader is not None
        assert await self._reader.read() == b""

    monkeypatch.setattr(Connection, "connect", connect_and_hear_the_end)

    async with hangs_up_after_the_greeting() as url, pipeline(Settings(redis_url=url)) as calls:
        call = asyncio.create_task(asked(calls, "ECHO", "lost"))

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(call, 2)


async def test_a_store_that_falls_silent_is_given_up_and_late_replies_reach_nobody(settings: Settings) -> None:
    async with pipeline(settings, silence=0.2) as calls:
        # The server answers in order: this call holds up the other.
        held_up = [calls.execute_command("BLPOP", NONE, 5), calls.execute_command("ECHO", "late")]
        replies = await asyncio.gather(*held_up, return_exceptions=True)
        assert [type(reply) for reply in replies] == [TimeoutError, TimeoutError]

        assert await calls.execute_command("ECHO", "fresh") == "fresh"


async def test_a_large_command_does_not_delay_small_ones(settings: Settings) -> None:
    async with pipeline(settings) as calls:
        large = asyncio.create_task(asked(calls, "BLPOP", *(f"{{{NONE}}}{n}" for n in range(200)), 1))
        await asyncio.sleep(0)

        assert await asyncio.wait_for(calls.execute_command("ECHO", "small"), 0.9) == "small"
        assert await large is None


async def test_parts_of_two_batches_take_turns_and_small_calls_come_in_between() -> None:
    received, answered = asyncio.Queue[str](), asyncio.Semaphore(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := await command(reader):
            if words[0] == b"ECHO":
                received.put_nowait(words[1].decode())
                if len(words) > LARGE:
                    await answered.acquire()
            writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with pipeline(Settings(redis_url=url)) as calls:

            async def batch(name: str) -> None:
                for number in (1, 2, 3):
                    await calls.execute_command("ECHO", f"{name} {number}", *range(LARGE))

            batches = asyncio.gather(batch("first"), batch("second"))
            seen = []
            for number in range(6):
                seen.append(await received.get())
                # The store has no other part while it works on this one.
                await calls.execute_command("ECHO", f"small {number}")
                seen.append(received.get_nowait())
                assert received.empty()
                answered.release()
            await batches

    parts = ["first 1", "second 1", "first 2", "second 2", "first 3", "second 3"]
    assert seen == [word for number, part in enumerate(parts) for word in (part, f"small {number}")]


async def test_commands_of_one_turn_leave_in_bursts_so_that_the_store_begins_before_the_last(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipeline(settings) as calls:
        await calls.execute_command("ECHO", "connected")
        wire = calls._small.wire
        assert wire is not None
        writes: list[bytes] = []
        write = wire._transport.write

        def noted(data: bytes) -> None:
            writes.append(data)
            write(data)

        monkeypatch.setattr(wire._transport, "write", noted)

        await asyncio.gather(*(calls.execute_command("ECHO", n) for n in range(100)))

    assert [write.count(b"ECHO") for write in writes] == [1] + [3] * 33
