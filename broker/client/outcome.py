"""How a task is released, by what its function returned or raised."""

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from broker.client.handler import A_VOTE, Ended
from broker.client.types import Fail, Release, Result, Skip, Task

log = logging.getLogger("broker.client")

_LONGEST = 315_360_000
"""Seconds of a delay: ten years."""

_LONGEST_MESSAGE = 1000
"""Characters of an error message: the broker keeps no more."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""A message may contain text of a site, which must not control a terminal."""

_NAMED = 20
"""Errors of a group that a message names."""


def outcome(task: Task, ended: Ended) -> Release:
    """The release of a task, which is also logged. No error of a function gets past here, not even one in its text."""
    unexpected: BaseException | None = None
    try:
        release, unexpected = _outcome(task, ended)
    except BaseException:
        release = failed(task, type(ended.error).__name__)
    with suppress(BaseException):  # of an error's text, or of a handler of the log
        _tell(task, release, unexpected)
    return release


def failed(task: Task, message: str, *, delay: float = 0) -> Release:
    return _release(task, Result.FAIL, message=message, delay=delay)


def given_back(task: Task) -> Release:
    return Release(task.id, Result.SKIP)


def _outcome(task: Task, ended: Ended) -> tuple[Release, BaseException | None]:
    """The release, and the error, if it is neither Fail nor Skip."""
    if ended.error is None:
        if (verification := _vote(ended.value)) is None:
            return failed(task, f"its function returned {type(ended.value).__name__}: {A_VOTE}"), None
        return _release(task, Result.OK, verification=verification, again_in=task.comes_again), None
    if isinstance(ended.error, asyncio.CancelledError):
        return failed(task, "its function was cancelled from within"), None
    errors = list(islice(_leaves(ended.error), _NAMED))
    meant = [error for error in errors if isinstance(error, Fail | Skip)]
    fails = [error for error in errors if not isinstance(error, Skip)]
    delay = max(error.delay for error in meant) if len(meant) == len(errors) else 0
    if not fails:
        return _release(task, Result.SKIP, message="; ".join(map(_text, meant)), delay=delay), None
    message = "; ".join(filter(None, map(_why, fails)))
    return failed(task, message, delay=delay), None if len(meant) == len(errors) else ended.error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, in their order, or the single error."""
    left = [error]
    while left:
        error = left.pop()
        if isinstance(error, BaseExceptionGroup):
            left += reversed(error.exceptions)
        else:
            yield error


def _why(error: BaseException) -> str:
    kind = "" if isinstance(error, Fail) else type(error).__name__
    return ": ".join(filter(None, (kind, _text(error))))


def _text(error: BaseException) -> str:
    """The text of an error of any library: some have none, or one with half characters."""
    try:
        return str(error).encode(errors="replace").decode()
    except BaseException:
        return ""


def _vote(value: object) -> int | None:
    """The verification; None if the value cannot be one."""
    if value is None:
        return 0
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _release(
    task: Task, result: Result, *, verification: int = 0, message: str = "", delay: float = 0, again_in: float = 0
) -> Release:
    delay, again_in = (max(0, min(seconds, _LONGEST)) for seconds in (delay, again_in))
    message = message[:_LONGEST_MESSAGE]
    return Release(task.id, result, verification, task.group_delay, task.group_blocked, message, delay, again_in)


def _tell(task: Task, release: Release, unexpected: BaseException | None) -> None:
    what = f"task {task.id} of project {task.project.id}"
    why = f": {_CONTROL.sub(' ', release.message)}" if release.message else ""
    if unexpected is not None:
        log.error("%s failed%s", what, why, exc_info=unexpected)
    elif release.result is Result.FAIL:
        log.warning("%s failed%s", what, why)
    elif release.result is Result.SKIP:
        log.info("%s was skipped%s", what, why)
