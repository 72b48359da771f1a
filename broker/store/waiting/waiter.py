"""A request that waits for a task (:class:`Waiter`), and the queue in which it stands (:class:`WaitQueue`)."""

import asyncio
import heapq
from collections import deque
from typing import NamedTuple


class Wake(NamedTuple):
    """The reason to wake a waiter: a task may be waiting in a project."""

    project: int
    passes: int = 0
    """How many more waiters are woken, one after the other, when the woken one finds no task."""
    before: float = float("inf")
    """Only waiters with a smaller number are woken: the others have tried already, or came later."""


class Waiter:
    """A request that waits for a task. When woken, it asks the store, and waits again if there is no task."""

    __slots__ = ("_woken", "ended", "number", "queue", "waiting", "wake", "worker")

    def __init__(self, queue: "WaitQueue", number: int) -> None:
        self.queue = queue
        self.number = number
        """Its position: the waiter with the smallest number is woken first."""
        self.waiting = True
        """Whether it may be woken. While it asks the store, it may not."""
        self.wake: Wake | None = None
        """Why it was woken, until the store has answered."""
        self.ended = False
        self.worker = 0
        """The worker that waits; 0: not known."""
        self._woken: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()

    async def woken(self) -> Wake | None:
        """Returns when it is woken: why, or None when the wait has ended."""
        return await self._woken

    def wake_up(self, wake: Wake) -> None:
        self.waiting, self.wake = False, wake
        self._woken.set_result(wake)

    def wait_again(self) -> None:
        self.waiting, self.wake = True, None
        self._woken = asyncio.get_running_loop().create_future()
        if self.ended:
            self._woken.set_result(None)

    def end(self) -> None:
        """Ends the wait. If it is asking the store, it still gets what it finds."""
        self.ended = True
        if not self._woken.done():
            self._woken.set_result(None)


class WaitQueue:
    """Waiters for the same tasks: those of one project, or of all public projects and those granted to the worker."""

    def __init__(self, project: int, granted: frozenset[int]) -> None:
        self.project = project
        """0 for any."""
        self.granted = granted
        self.count = 0
        """Waiters in the queue, woken ones included."""
        self.asking = 0
        """How many of them are woken."""
        self.prepared = False
        """Whether the projects that were granted publish their tasks."""
        self._waiters: dict[int, Waiter] = {}
        self._numbers: list[int] = []
        """A heap. Numbers of waiters that have left, or are woken, are removed when they come first."""

    def put(self, waiter: Waiter) -> None:
        if waiter.number not in self._waiters:
            self._waiters[waiter.number] = waiter
            heapq.heappush(self._numbers, waiter.number)
        if len(self._numbers) > 2 * self.count + 100:
            self._numbers = sorted(self._waiters)

    def remove(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter.number, None)

    def first(self) -> Waiter | None:
        """The first that may be woken."""
        while self._numbers:
            waiter = self._waiters.get(self._numbers[0])
            if waiter is not None and waiter.waiting and not waiter.ended:
                return waiter
            self._waiters.pop(heapq.heappop(self._numbers), None)
        return None

    def all(self) -> list[Waiter]:
        """All that may be woken, and some that are woken."""
        return list(self._waiters.values())


class AwaitedProject:
    """What this process knows of a project for whose tasks requests wait."""

    def __init__(self) -> None:
        self.public = False
        self.paused = False
        self.rate = 0.0
        """Tasks a second that the project assigns, 0 for no limit."""
        self.woken = 0
        """Waiters woken since the last pause for the rate."""
        self.pause: asyncio.TimerHandle | None = None
        """Until it fires nobody is woken, because the rate is used up."""
        self.more = False
        """Whether a task may be waiting when the pause ends."""
        self.kept: deque[Wake] = deque()
        """Wakes that came while all waiters concerned were asking the store."""
        self.has_votes = False
        """Whether tasks with votes may be waiting: another worker may get one that the waiters may not."""
        self.admitted: dict[int, float] = {}
        """Workers that may get tasks of it, and when the store said so last, by the clock of the event loop."""
        self.notified_until = 0.0
        """Until when the scripts publish tasks of this project, by the clock of the event loop."""
        self.reading = asyncio.Lock()
        self.promotion: asyncio.TimerHandle | None = None
        """When it fires, a group or a delayed task is due."""

    def end_promotion(self) -> None:
        if self.promotion is not None:
            self.promotion.cancel()
        self.promotion = None

    def end_pause(self) -> None:
        if self.pause is not None:
            self.pause.cancel()
        self.pause, self.woken, self.more = None, 0, False
