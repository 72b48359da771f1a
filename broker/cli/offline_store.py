"""The store, reached from the operator's shell whether the broker runs or not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from broker.errors import StartError, Unavailable
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.check import StoreAway, check
from broker.store.redis.embedded import EmbeddedStore

T = TypeVar("T")

CONTINUES = "run it again: it goes on where it stopped"

_ATTEMPTS = 50
"""0.1 s apart, for a store that has just been started."""


def run_on_store(
    settings: Settings, work: Callable[[Store, Settings], Awaitable[T]], advice: str = "run it again"
) -> T:
    """What ``work`` returns. ``advice`` is for an operator whose store went away in the middle."""
    with _located(settings) as found:
        return asyncio.run(_run(found, work, advice))


@contextmanager
def _located(settings: Settings) -> Iterator[Settings]:
    """With the URL of the store. An embedded one that does not run is started for the length of the block."""
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


async def _run(settings: Settings, work: Callable[[Store, Settings], Awaitable[T]], advice: str) -> T:
    await _check(settings)
    store = open_store(settings)
    try:
        return await work(store, settings)
    except Unavailable as error:
        raise StartError(f"{error.message}; {advice}") from error
    finally:
        await store.close()


async def _check(settings: Settings) -> None:
    for _ in range(_ATTEMPTS):
        try:
            await check(settings)
            return
        except StoreAway as error:
            away = error
            await asyncio.sleep(0.1)
    raise StartError(f"the store does not answer: {away}", setting="redis_url")
