"""Who waits for a task: places in line, in order of arrival."""

import asyncio
import heapq
from typing import NamedTuple


class Wake(NamedTuple):
    """Word of a task that may wait in a project."""

    project: int
    passes: int = 0
    """How many others are tried after the one that it wakes, should that find nothing."""
    before: float = float("inf")
    """Only for places with a smaller number: the others were tried, or came later."""


class Place:
    """A request that waits for a task of one project, or, with project 0, of any that is public or granted to it."""

    __slots__ = ("_woken", "ended", "granted", "number", "project", "waiting")

    def __init__(self, project: int, granted: frozenset[int], number: int) -> None:
        self.project = project
        self.granted = granted
        self.number = number
        self.waiting = True
        """Whether it stands in line; while it asks the store, it does not."""
        self.ended = False
        self._woken: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()

    async def woken(self) -> Wake | None:
        """What it was woken for; None when it shall wait no longer."""
        return await self._woken

    def wake(self, wake: Wake) -> None:
        self.waiting = False
        self._woken.set_result(wake)

    def wait_on(self) -> None:
        self.waiting = True
        if not self.ended:
            self._woken = asyncio.get_running_loop().create_future()
        elif self._woken.result() is not None:
            self._woken = asyncio.get_running_loop().create_future()
            self._woken.set_result(None)

    def end(self) -> None:
        """It waits no longer; when it is asking already, it is still told what it finds."""
        self.ended = True
        if not self._woken.done():
            self._woken.set_result(None)


class Line:
    """Places that wait for the same, and what is known of their project."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, Place]] = []
        self.count = 0
        """Of those that wait or ask."""
        self.public = False
        self.rate = 0.0
        """Tasks a second, 0 for unlimited."""
        self.paced = False
        """Whether the rate holds tasks up."""
        self.held = False
        """Nobody is woken until a timer lets the next one through."""
        self.told_until = 0.0
        """Until when the project tells of tasks that come, by the loop's clock."""
        self.opening = asyncio.Lock()

    def put(self, place: Place) -> None:
        heapq.heappush(self._heap, (place.number, place))
        if len(self._heap) > 2 * self.count + 100:
            self._heap = [entry for entry in self._heap if _stands(*entry)]
            heapq.heapify(self._heap)

    def first(self, project: int, public: bool) -> Place | None:
        """The first that waits, and that the project may serve."""
        passed, found = [], None
        while self._heap and found is None:
            number, place = self._heap[0]
            if _stands(number, place) and (place.project or public or project in place.granted):
                found = place
            else:
                passed.append(heapq.heappop(self._heap))
        for entry in passed:
            if _stands(*entry):
                heapq.heappush(self._heap, entry)
        return found

    def all(self) -> list[Place]:
        return [place for number, place in self._heap if _stands(number, place)]


def _stands(number: int, place: Place) -> bool:
    """What has left, asks, or stands further back, leaves its old entry behind."""
    return place.waiting and not place.ended and place.number == number
