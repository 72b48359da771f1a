"""When a consumer asks for the next tasks: later after skips, after answers without tasks, and after fails in a row."""

import asyncio
import logging
from contextlib import suppress

from broker.client.calls import Backoff
from broker.client.types import Release, Result, Task

log = logging.getLogger("broker.client")

_IN_A_ROW = 10
"""Fails in a row after which this machine may be the cause."""

_LONGEST = 60
"""Seconds of a pause after fails."""


class Pace:
    def __init__(self, project: int) -> None:
        self._project = project
        self._idle = Backoff(0.2)
        self._skipped = False
        self._fails = 0
        self._failed = False
        """Whether a task has failed since the last pause."""
        self._failing = Backoff(1, _LONGEST)
        self._succeeded = asyncio.Event()

    def note(self, task: Task, release: Release) -> None:
        """Notes how a task has ended."""
        if release.result is Result.SKIP:
            # A delay keeps the task away. A block of its group does so as well, but it must arrive first, and a public
            # project may ignore it.
            self._skipped |= release.delay <= 0
            if task.group and task.group_blocked > 0 and not task.project.public:
                self._idle.reset()
        elif release.result is Result.FAIL:
            self._fails += 1
            self._failed = True
        else:
            if self._fails >= _IN_A_ROW:
                log.warning("a task of project %d has not failed: the pauses end", self._project)
            self._fails = 0
            self._failing.reset()
            self._succeeded.set()

    async def after_fails(self) -> None:
        """Pauses after many fails in a row; one success ends the pause."""
        if self._fails < _IN_A_ROW or not self._failed:
            return
        pause = min(self._failing.pause(), _LONGEST)
        log.warning("the last %d tasks of project %d failed: a pause of %.0f s", self._fails, self._project, pause)
        self._succeeded.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._succeeded.wait()
        self._failed = False

    async def after_get(self, *, found: bool, at_once: bool) -> None:
        """Pauses after a get without a task. ``at_once``: whether the answer came at once: without a pause, a broker
        without long polls, or with a task that every worker skips, would be asked without end.
        """
        skipped, self._skipped = self._skipped, False
        if found and not skipped:
            self._idle.reset()
        elif skipped or at_once:
            await asyncio.sleep(self._idle.pause())
