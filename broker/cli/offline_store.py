"""The store from the operator's shell, whether the broker runs or not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from broker.errors import StartError
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.check import StoreAway, check
from broker.store.redis.embedded import EmbeddedStore

_PATIENCE = 50
"""Looks, 0.1 s apart, for a store that was started a moment ago."""


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """The store of a running broker, or the embedded one, started for as long as this takes."""
    if settings.redis_url:
        yield settings
        return
    embedded = EmbeddedStore(settings)
    found = replace(settings, redis_url=embedded.url)
    if embedded.answers():
        yield found
        return
    embedded.start()
    try:
        yield found
    finally:
        embedded.stop()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """A store that was found to be fit. Raises :class:`StartError` when it is not, or does not answer."""
    await _checked(settings)
    store = open_store(settings)
    try:
        yield store
    finally:
        await store.close()


async def _checked(settings: Settings) -> None:
    for _ in range(_PATIENCE):
        try:
            await check(settings)
            return
        except StoreAway as error:
            away = error
            await asyncio.sleep(0.1)
    raise StartError(f"the store does not answer: {away}", setting="redis_url")
