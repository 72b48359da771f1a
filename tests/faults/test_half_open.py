"""A connection to the store stays open, but nothing arrives any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from broker.errors import Unavailable
from broker.settings import Settings
from broker.store import Store, open_store


class Network:
    """Carries bytes between the broker and the store, or keeps them for later."""

    def __init__(self, store_url: str) -> None:
        self._store = store_url.removeprefix("unix://")
        self._forth, self._back = asyncio.Event(), asyncio.Event()
        self._carriers: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.let_through()

    def let_through(self) -> None:
        self._forth.set()
        self._back.set()

    def swallow(self, *, answers_only: bool = False) -> None:
        self._back.clear()
        if not answers_only:
            self._forth.clear()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        from_store, to_store = await asyncio.open_unix_connection(self._store)
        self._writers += [writer, to_store]
        for carrying in (self._carry(reader, to_store, self._forth), self._carry(from_store, writer, self._back)):
            self._carriers.add(asyncio.create_task(carrying))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, through: asyncio.Event) -> None:
        try:
            while data := await source.read(65_536):
                await through.wait()
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    async def end(self) -> None:
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def network(redis_url: str) -> AsyncIterator[Network]:
    if not redis_url.startswith("unix://"):
        pytest.skip("the store has no socket of its own")
    made = Network(redis_url)
    yield made
    await made.end()


@asynccontextmanager
async def a_store_behind(network: Network, settings: Settings) -> AsyncIterator[Store]:
    server = await asyncio.start_server(network.connect, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        store = open_store(replace(settings, redis_url=url, redis_timeout=0.2))
        yield store
        await store.close()
        await network.end()


async def test_a_connection_that_swallows_calls_is_given_up_and_the_next_one_serves(
    network: Network, settings: Settings
) -> None:
    async with a_store_behind(network, settings) as store:
        assert (await store.workers.create("w"))[0].id == 1
        network.swallow()
        # The second finds a new connection, which is no better.
        for _ in range(2):
            with pytest.raises(Unavailable):
                async with asyncio.timeout(2):
                    await store.workers.create("lost")
        network.let_through()

        after = [(await store.workers.create("w"))[0] for _ in range(3)]

        assert [worker.alias for worker in after] == ["w", "w", "w"]
        assert network.connections == 3


async def test_answers_that_come_after_their_calls_were_given_up_reach_nobody(
    network: Network, settings: Settings
) -> None:
    async with a_store_behind(network, settings) as store:
        assert (await store.workers.create("w"))[0].id == 1
        network.swallow(answers_only=True)
        lost = await asyncio.gather(*(store.workers.create(f"lost {n}") for n in range(20)), return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in lost)
        network.let_through()

        after = await asyncio.gather(*(store.workers.create(f"after {n}") for n in range(20)))

        # Those whose answers were lost were made, once each.
        assert sorted(worker.id for worker, *_ in after) == list(range(22, 42))
        for n, (worker, *_) in enumerate(after):
            assert worker.alias == f"after {n}"
            (found,) = await store.workers.get([worker.id])
            assert found is not None
            assert found.alias == worker.alias
