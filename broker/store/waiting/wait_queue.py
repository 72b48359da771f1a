"""Decides which waiter a new task wakes: one for each task, in order of arrival, no faster than the project's rate.

Only as many waiters ask the store as there are tasks, so that a thousand of them do not ask for one. It does not
speak with the store: :class:`~broker.store.waiting.Waiters` notifies it, and ``api/assign.py`` reports what a woken
waiter found.
"""

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Iterable

from broker.errors import BrokerError
from broker.store.waiting.waiter import AwaitedProject, Waiter, WaitQueue, Wake

_PASSES = 32
"""Waiters that are woken one after the other for a task with votes, as some of them may have voted on it already."""

_ADMITTED = 60.0
"""Seconds for which a worker counts as one that may get tasks of a project."""

_TICK = 0.01
"""Seconds of a rate that are assigned together, as the scripts do (``lua/include/rate.lua``)."""


class WaitQueues:
    """All wait queues of a process."""

    def __init__(self) -> None:
        self.in_project: dict[int, WaitQueue] = {}
        self.anywhere: dict[frozenset[int], WaitQueue] = {}
        """Queues of waiters that name no project, by the projects granted to their worker."""
        self.granted: defaultdict[int, set[WaitQueue]] = defaultdict(set)
        """The same queues, by each of these projects."""
        self.projects: dict[int, AwaitedProject] = {}
        self.closed = False
        self._with_kept: set[int] = set()
        """Projects with kept wakes."""
        self._numbers = itertools.count(1)

    def enter(self, project: int, granted: Iterable[int]) -> Waiter:
        """A new waiter for tasks of ``project``, or of any project with 0."""
        queue = self._queue(project, frozenset(granted))
        waiter = Waiter(queue, next(self._numbers))
        queue.count += 1
        queue.put(waiter)
        if self.closed:
            waiter.end()
        return waiter

    def finds_nothing(self, project: int, worker: int) -> bool:
        """Whether other waiters would get every task first: then the worker can wait without asking the store."""
        queue, awaited = self.in_project.get(project), self.project(project)
        admitted = awaited.admitted.get(worker, -_ADMITTED) > asyncio.get_running_loop().time() - _ADMITTED
        return admitted and not awaited.paused and not awaited.has_votes and bool(queue and queue.first())

    def leave(self, waiter: Waiter) -> None:
        """If it was woken and has not asked the store, the next one is woken instead."""
        queue, wake = waiter.queue, waiter.wake
        if not waiter.waiting:
            queue.asking -= 1
        waiter.waiting, waiter.ended, waiter.wake = False, True, None
        queue.remove(waiter)
        queue.count -= 1
        if not queue.count:
            self._remove(queue)
        if wake is not None:
            self.wake(wake)
        for project in [it for it in self._with_kept if not any(queue.asking for queue in self._queues_of(it))]:
            self._take_kept(project)

    def found(self, waiter: Waiter, wake: Wake | None) -> None:
        """The waiter has a task."""
        self._admit(waiter)
        if wake is not None:
            waiter.wake = None
            if self.project(wake.project).rate:
                # The pause for the rate hides how many tasks there are: there may be more.
                self.wake(Wake(wake.project))

    def unanswered(self, waiter: Waiter) -> None:
        """The store does not say whether the waiter has a task. No other is woken instead."""
        waiter.wake = None

    def refused(self, waiter: Waiter, wake: Wake | None, error: BrokerError) -> None:
        """The waiter has found no task, and waits again.

        If others may take the task that this one may not, it goes to the end of its queue, and the next one is woken.
        """
        queue = waiter.queue
        project = wake.project if wake else queue.project
        if error.code == "no_task":
            self._admit(waiter)
        if project and error.code == "rate_limited":
            self._pause(project, error.delay or 0, more=True)
        elif project and error.code == "paused":
            self.project(project).paused = True
        if wake is None:
            return
        queue.asking -= 1
        waiter.wait_again()
        if self.closed:
            waiter.end()
        passes = _PASSES if error.code == "denied" else wake.passes
        if passes:
            queue.remove(waiter)
            waiter.number = next(self._numbers)
        queue.put(waiter)
        self._wake_for_kept(queue)
        if passes:
            self.wake(Wake(wake.project, passes - 1, min(wake.before, waiter.number)), keep=False)

    def waiting_for(self, project: int) -> int:
        """How many may be woken for tasks of this project."""
        return sum(queue.count - queue.asking for queue in self._queues_of(project))

    def notify(self, project: int, fresh: int, voted: int) -> None:
        """So many tasks may be waiting in the project, without and with votes."""
        for _ in range(fresh):
            if not self.wake(Wake(project)):
                break
        for _ in range(min(voted, _PASSES)):
            self.wake(Wake(project, _PASSES // min(voted, _PASSES), next(self._numbers)))

    def wake(self, wake: Wake, *, keep: bool = True) -> bool:
        """Wakes the first waiter concerned. If all of them are asking the store, the wake is kept for one that fails.

        The answer is whether somebody was woken, or the wake is kept.
        """
        awaited = self.project(wake.project)
        if awaited.pause is not None:
            awaited.more = True
        if awaited.pause is not None or awaited.paused:
            return False
        queues = self._queues_of(wake.project)
        firsts = [queue.first() for queue in queues]
        waiters = [waiter for waiter in firsts if waiter is not None and waiter.number < wake.before]
        if not waiters:
            keep = keep and len(awaited.kept) < sum(queue.asking for queue in queues)
            if keep:
                awaited.kept.append(wake)
                self._with_kept.add(wake.project)
            return keep
        first = min(waiters, key=lambda waiter: waiter.number)
        first.queue.asking += 1
        first.wake_up(wake)
        if awaited.rate:
            awaited.woken += 1
            if awaited.woken >= _at_once(awaited.rate):
                self._pause(wake.project, awaited.woken / awaited.rate, more=False)
        return True

    def end_all(self) -> None:
        """Ends all waits, and those to come."""
        self.closed = True
        for queue in (*self.in_project.values(), *self.anywhere.values()):
            for waiter in queue.all():
                waiter.end()
        for awaited in self.projects.values():
            awaited.end_pause()

    def remove_unused(self) -> None:
        """Removes projects for which nobody waits."""
        long_ago = asyncio.get_running_loop().time() - _ADMITTED
        for project, awaited in list(self.projects.items()):
            awaited.admitted = {worker: at for worker, at in awaited.admitted.items() if at > long_ago}
            if awaited.pause is None and not self._queues_of(project):
                awaited.end_promotion()
                del self.projects[project]

    def project(self, project: int) -> AwaitedProject:
        found = self.projects.get(project)
        if found is None:
            found = self.projects[project] = AwaitedProject()
        return found

    def _queue(self, project: int, granted: frozenset[int]) -> WaitQueue:
        queue = self.in_project.get(project) if project else self.anywhere.get(granted)
        if queue is not None:
            return queue
        queue = WaitQueue(project, granted)
        if project:
            self.in_project[project] = queue
        else:
            self.anywhere[granted] = queue
            for its in granted:
                self.granted[its].add(queue)
        return queue

    def _remove(self, queue: WaitQueue) -> None:
        if queue.project:
            del self.in_project[queue.project]
            return
        del self.anywhere[queue.granted]
        for its in queue.granted:
            self.granted[its].remove(queue)
            if not self.granted[its]:
                del self.granted[its]

    def _queues_of(self, project: int) -> list[WaitQueue]:
        """The queues whose waiters may take tasks of this project."""
        awaited, queue = self.projects.get(project), self.in_project.get(project)
        anywhere = self.anywhere.values() if awaited and awaited.public else self.granted.get(project, ())
        return [*anywhere] if queue is None else [queue, *anywhere]

    def _admit(self, waiter: Waiter) -> None:
        if waiter.queue.project:
            self.project(waiter.queue.project).admitted[waiter.worker] = asyncio.get_running_loop().time()

    def _pause(self, project: int, delay: float, *, more: bool) -> None:
        """Wakes nobody for ``delay`` seconds, whatever the pause was before; then somebody, if there is more."""
        awaited = self.project(project)
        awaited.more |= more
        if awaited.pause is not None:
            awaited.pause.cancel()
        awaited.pause = asyncio.get_running_loop().call_later(delay, self._end_pause, project)

    def _end_pause(self, project: int) -> None:
        awaited = self.project(project)
        more, together = awaited.more, _at_once(awaited.rate)
        awaited.end_pause()
        if more:
            self.notify(project, together, 0)

    def _wake_for_kept(self, queue: WaitQueue) -> None:
        """A waiter of this queue has found no task: the wakes that were kept meanwhile wake it, or others."""
        for project in [it for it in self._with_kept if queue in self._queues_of(it)]:
            for wake in self._take_kept(project):
                self.wake(wake._replace(before=next(self._numbers)))

    def _take_kept(self, project: int) -> deque[Wake]:
        awaited = self.project(project)
        kept, awaited.kept = awaited.kept, deque()
        self._with_kept.discard(project)
        return kept


def _at_once(rate: float) -> int:
    """Tasks that a rate lets through together."""
    return max(1, int(rate * _TICK))
