"""Who waits for a task: places in line, in order of arrival."""

import asyncio
import heapq
from collections import deque
from typing import NamedTuple


class Wake(NamedTuple):
    """Word of a task that may wait in a project."""

    project: int
    passes: int = 0
    """How many others are tried after the one that it wakes, should that find nothing."""
    before: float = float("inf")
    """Only for places with a smaller number: the others were tried, or came later."""


class Place:
    """A request that waits for a task."""

    __slots__ = ("_woken", "ended", "line", "number", "waiting", "word")

    def __init__(self, line: "Line", number: int) -> None:
        self.line = line
        self.number = number
        self.waiting = True
        """Whether it may be woken; while it asks the store for what it was woken for, it may not."""
        self.word: Wake | None = None
        """What it was woken for, until it has asked for that."""
        self.ended = False
        self._woken: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()

    async def woken(self) -> Wake | None:
        """What it was woken for; None when it shall wait no longer."""
        return await self._woken

    def wake(self, wake: Wake) -> None:
        self.waiting, self.word = False, wake
        self._woken.set_result(wake)

    def wait_on(self) -> None:
        self.waiting, self.word = True, None
        self._woken = asyncio.get_running_loop().create_future()
        if self.ended:
            self._woken.set_result(None)

    def end(self) -> None:
        """It waits no longer; when it is asking already, it is still told what it finds."""
        self.ended = True
        if not self._woken.done():
            self._woken.set_result(None)


class Line:
    """Places that wait for the same: a task of one project, or of any that is public or among those granted to them."""

    def __init__(self, project: int, granted: frozenset[int]) -> None:
        self.project = project
        """0 for any."""
        self.granted = granted
        self.count = 0
        """Of those that wait or ask."""
        self.asking = 0
        self._places: dict[int, Place] = {}
        self._numbers: list[int] = []
        """A heap; what has left or asks is dropped when it comes first."""

    def put(self, place: Place) -> None:
        if place.number not in self._places:
            self._places[place.number] = place
            heapq.heappush(self._numbers, place.number)
        if len(self._numbers) > 2 * self.count + 100:
            self._numbers = sorted(self._places)

    def remove(self, place: Place) -> None:
        self._places.pop(place.number, None)

    def first(self) -> Place | None:
        """The first that may be woken."""
        while self._numbers:
            place = self._places.get(self._numbers[0])
            if place is not None and place.waiting and not place.ended:
                return place
            self._places.pop(heapq.heappop(self._numbers), None)
        return None

    def all(self) -> list[Place]:
        """Those that may be woken, and some that ask."""
        return list(self._places.values())


class Prospect:
    """What is known of a project that somebody waits for."""

    def __init__(self) -> None:
        self.public = False
        self.paused = False
        self.rate = 0.0
        """Tasks a second, 0 for unlimited."""
        self.let_through = 0
        """Places woken since the rate last held one up."""
        self.held: asyncio.TimerHandle | None = None
        """Until it fires, nobody is woken: the rate lets nobody through."""
        self.more = False
        """Whether a task may wait when it fires."""
        self.left: deque[Wake] = deque()
        """Words that came while all whom they are for were asking."""
        self.told_until = 0.0
        """Until when the project tells of tasks that come, by the loop's clock."""
        self.opening = asyncio.Lock()

    def release(self) -> None:
        if self.held is not None:
            self.held.cancel()
        self.held, self.let_through, self.more = None, 0, False
