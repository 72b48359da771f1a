"""Whom word of a task wakes: one task one place, in order of arrival, and no more than the rate of its project allows.

Knows nothing of the store: what it is told, it passes on.
"""

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Iterable

from broker.errors import BrokerError
from broker.store.waiting.waiter import Line, Place, Prospect, Wake

_PASSES = 32
"""Places that are tried in turn for a task that holds votes, since it may not be for each of them."""

_TICK = 0.01
"""Seconds of a rate that are let through together, as the scripts do (``lua/include/rate.lua``)."""


class Lines:
    def __init__(self) -> None:
        self.in_project: dict[int, Line] = {}
        self.anywhere: dict[frozenset[int], Line] = {}
        """By what was granted to those who wait."""
        self.granted: defaultdict[int, set[Line]] = defaultdict(set)
        """The same, by project."""
        self.prospects: dict[int, Prospect] = {}
        self.closed = False
        self._left: set[int] = set()
        """Projects of which words are kept."""
        self._numbers = itertools.count(1)

    def enter(self, project: int, granted: Iterable[int]) -> Place:
        """A place in line; project 0 for any."""
        line = self._line(project, frozenset(granted))
        place = Place(line, next(self._numbers))
        line.count += 1
        line.put(place)
        if self.closed:
            place.end()
        return place

    def leave(self, place: Place) -> None:
        """What it was woken for and has not asked for, it passes on."""
        line, word = place.line, place.word
        if not place.waiting:
            line.asking -= 1
        place.waiting, place.ended, place.word = False, True, None
        line.remove(place)
        line.count -= 1
        if not line.count:
            self._close(line)
        if word is not None:
            self.give(word)
        for project in [it for it in self._left if not any(line.asking for line in self._lines_of(it))]:
            self._take_left(project)

    def found(self, place: Place, wake: Wake | None) -> None:
        """Who was woken for this has a task."""
        if wake is not None:
            place.word = None
            if self.prospect(wake.project).rate:
                # A rate let one through; there may be more.
                self.give(Wake(wake.project))

    def lost(self, place: Place) -> None:
        """The store does not say whether it has a task. Nobody else is sent after it."""
        place.word = None

    def refused(self, place: Place, wake: Wake | None, error: BrokerError) -> None:
        """It has found nothing, and waits on.

        When the task may have been one that only this place may not take, it waits behind the others, and they are
        tried now.
        """
        line = place.line
        project = wake.project if wake else line.project
        if project and error.code == "rate_limited":
            self._hold(project, error.delay or 0, more=True)
        elif project and error.code == "paused":
            self.prospect(project).paused = True
        if wake is None:
            return
        line.asking -= 1
        place.wait_on()
        if self.closed:
            place.end()
        passes = _PASSES if error.code == "denied" else wake.passes
        if passes:
            line.remove(place)
            place.number = next(self._numbers)
        line.put(place)
        self._give_left(line)
        if passes:
            self.give(Wake(wake.project, passes - 1, min(wake.before, place.number)), keep=False)

    def tell(self, project: int, fresh: int, voted: int) -> None:
        """So many tasks may wait, without and with votes."""
        for _ in range(fresh):
            if not self.give(Wake(project)):
                break
        for _ in range(min(voted, _PASSES)):
            self.give(Wake(project, _PASSES // min(voted, _PASSES), next(self._numbers)))

    def give(self, wake: Wake, *, keep: bool = True) -> bool:
        """Wakes the first that it is for, or is kept for one that asks too early. Whether there was either."""
        prospect = self.prospect(wake.project)
        if prospect.held is not None:
            prospect.more = True
        if prospect.held is not None or prospect.paused:
            return False
        lines = self._lines_of(wake.project)
        firsts = [line.first() for line in lines]
        places = [place for place in firsts if place is not None and place.number < wake.before]
        if not places:
            keep = keep and len(prospect.left) < sum(line.asking for line in lines)
            if keep:
                prospect.left.append(wake)
                self._left.add(wake.project)
            return keep
        first = min(places, key=lambda place: place.number)
        first.line.asking += 1
        first.wake(wake)
        if prospect.rate:
            prospect.let_through += 1
            if prospect.let_through >= _at_once(prospect.rate):
                self._hold(wake.project, prospect.let_through / prospect.rate, more=False)
        return True

    def end_all(self) -> None:
        """Ends all waits at once, and those to come."""
        self.closed = True
        for line in (*self.in_project.values(), *self.anywhere.values()):
            for place in line.all():
                place.end()
        for prospect in self.prospects.values():
            prospect.release()

    def forget(self) -> None:
        """What is known of projects that nobody waits for."""
        for project, prospect in list(self.prospects.items()):
            if prospect.held is None and not self._lines_of(project):
                del self.prospects[project]

    def prospect(self, project: int) -> Prospect:
        found = self.prospects.get(project)
        if found is None:
            found = self.prospects[project] = Prospect()
        return found

    def _line(self, project: int, granted: frozenset[int]) -> Line:
        line = self.in_project.get(project) if project else self.anywhere.get(granted)
        if line is not None:
            return line
        line = Line(project, granted)
        if project:
            self.in_project[project] = line
        else:
            self.anywhere[granted] = line
            for its in granted:
                self.granted[its].add(line)
        return line

    def _close(self, line: Line) -> None:
        if line.project:
            del self.in_project[line.project]
            return
        del self.anywhere[line.granted]
        for its in line.granted:
            self.granted[its].remove(line)
            if not self.granted[its]:
                del self.granted[its]

    def _lines_of(self, project: int) -> list[Line]:
        """In which those stand whom this project may serve."""
        prospect, line = self.prospects.get(project), self.in_project.get(project)
        anywhere = self.anywhere.values() if prospect and prospect.public else self.granted.get(project, ())
        return [*anywhere] if line is None else [line, *anywhere]

    def _hold(self, project: int, delay: float, *, more: bool) -> None:
        """Wakes nobody for so many seconds, whatever was thought before; then somebody, if there is more."""
        prospect = self.prospect(project)
        prospect.more |= more
        if prospect.held is not None:
            prospect.held.cancel()
        prospect.held = asyncio.get_running_loop().call_later(delay, self._go_on, project)

    def _go_on(self, project: int) -> None:
        prospect = self.prospect(project)
        more, together = prospect.more, _at_once(prospect.rate)
        prospect.release()
        if more:
            self.tell(project, together, 0)

    def _give_left(self, line: Line) -> None:
        """To one that has asked in vain: what came meanwhile."""
        for project in [it for it in self._left if line in self._lines_of(it)]:
            for word in self._take_left(project):
                self.give(word._replace(before=next(self._numbers)))

    def _take_left(self, project: int) -> deque[Wake]:
        prospect = self.prospect(project)
        left, prospect.left = prospect.left, deque()
        self._left.discard(project)
        return left


def _at_once(rate: float) -> int:
    """Tasks that a rate lets through together."""
    return max(1, int(rate * _TICK))
