"""A process that dies between two calls into the store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.scripts import Argument


class Died(BaseException):
    """Not an Exception: nothing in the broker may catch its own death."""


def mortal(settings: Settings, calls: int) -> Store:
    """A store in a process that dies before its call number ``calls``, counted from 0."""
    store = open_store(settings)
    left = calls
    call, command = store.calls.call, store.calls.command

    def count() -> None:
        nonlocal left
        if left == 0:
            raise Died
        left -= 1

    async def mortal_call(script: str, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        count()
        return await call(script, keys, args)

    async def mortal_command(name: str, key: str, *args: Argument) -> Any:
        count()
        return await command(name, key, *args)

    store.calls.call = mortal_call  # type: ignore[method-assign]
    store.calls.command = mortal_command  # type: ignore[method-assign]
    return store


async def dies(settings: Settings, calls: int, doing: Callable[[Store], Awaitable[object]]) -> bool:
    """Whether the death interrupted ``doing``."""
    store = mortal(settings, calls)
    try:
        await doing(store)
    except Died:
        return True
    finally:
        await store.close()
    return False
