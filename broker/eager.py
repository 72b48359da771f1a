"""Begins a coroutine at once, without a task of its own, as eager tasks of later Pythons do."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """Runs a coroutine up to its first wait; who awaits this, in the same task, runs the rest.

    Two that first wait for the same future cannot both be begun.
    """

    __slots__ = ("_coroutine", "_ended", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._first: asyncio.Future[Any] | None = None
        """What it waits for."""
        self._ended: BaseException | None = None
        """How it ended if it did not wait: its value is in a StopIteration."""
        try:
            self._first = coroutine.send(None)
        except (StopIteration, Exception) as ended:
            self._ended = ended

    def __await__(self) -> Generator[Any, Any, T]:
        ended, first = self._ended, self._first
        if ended is not None:
            if isinstance(ended, StopIteration):
                value: T = ended.value
                return value
            raise ended
        if first is None or not first.done():
            try:  # noqa: SIM105 - a context manager would take as long as all the rest
                yield first
            except (Exception, asyncio.CancelledError):  # noqa: S110
                # The coroutine itself looks at how the wait has ended.
                pass
        return (yield from self._coroutine.__await__())
