"""For calls that name many tasks: limits, checks and carries out their parts, a few projects at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.api.requests import Call
from broker.api.values import required
from broker.errors import BrokerError, Invalid
from broker.store.tasks import PART, by_project

T = TypeVar("T")
C = TypeVar("C")

_AT_ONCE = 16
"""Projects that one bulk call works on at a time: it may name thousands, and other calls must not wait for it."""

_CHECKED = 100
"""Requests that are checked, in some tenths of a millisecond, before other calls have their turn."""


def batch(call: Call, items: list[T] | None, field: str = "requests", most: int = 0) -> list[T]:
    named, most = required(items, field), most or call.settings.max_bulk
    if not 1 <= len(named) <= most:
        raise Invalid(f"{field}: must have 1 to {most} entries")
    return named


async def each(requests: list[T], checked: Callable[[T], C], field: str) -> list[C]:
    """Every request, checked; a refusal names the request and its field."""
    done: list[C] = []
    for request in requests:
        if done and not len(done) % _CHECKED:
            await asyncio.sleep(0)
        try:
            done.append(checked(request))
        except BrokerError as error:
            error.message = f"{field}[{len(done)}].{error.message}"
            raise
    return done


async def in_parts(tasks: list[int], part: Callable[[int, list[int]], Awaitable[None]]) -> None:
    """Calls ``part(project, positions)`` for every 200 tasks of a project, in order, for a few projects at a time.

    ``positions`` are indexes of ``tasks``. A number that cannot be an id is left out. After an error no more parts
    begin; it is raised when the parts that have begun have ended.
    """

    async def whole(project: int, positions: list[int]) -> None:
        for start in range(0, len(positions), PART):
            await part(project, positions[start : start + PART])

    projects = [found for found in by_project(tasks).items() if found[0]]
    if len(projects) == 1:
        await whole(*projects[0])
        return
    for start in range(0, len(projects), _AT_ONCE):
        some = (whole(*found) for found in projects[start : start + _AT_ONCE])
        for error in await asyncio.gather(*some, return_exceptions=True):
            if error is not None:
                raise error


async def flags(tasks: list[int], part: Callable[[int, list[int]], Awaitable[list[bool]]]) -> list[bool]:
    """What ``part(project, tasks)`` answers for each task; false for a number that cannot be an id."""
    answered = [False] * len(tasks)

    async def some(project: int, positions: list[int]) -> None:
        done = await part(project, [tasks[position] for position in positions])
        for position, flag in zip(positions, done, strict=True):
            answered[position] = flag

    await in_parts(tasks, some)
    return answered
