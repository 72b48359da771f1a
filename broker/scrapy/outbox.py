"""What is to be sent to the broker: submits in their order, and releases, each after the submits before it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from scrapy import Request

from broker.client import NewTask, Release, Task

_MOST, _MOST_CHARACTERS = 500, 2 << 20
"""Releases and submitted tasks in one call; and characters of their recipes."""


@dataclass(eq=False)
class Submit:
    request: Request
    task: NewTask


@dataclass(eq=False)
class Queued:
    """A release. ``after``: sent when so many submits were answered. ``unsure``: it may have been carried out."""

    task: Task
    release: Release
    after: int
    unsure: bool = False


@dataclass
class Batch:
    """The contents of one call."""

    submits: list[Submit] = field(default_factory=list)
    releases: list[Queued] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.submits or self.releases)


class Outbox:
    def __init__(self) -> None:
        self._submits: deque[Submit] = deque()
        self._enqueued = 0
        self._answered = 0
        self._releases: dict[int, Queued] = {}
        self._singly = 0
        """How many submits are sent in calls of their own, because a call with all of them was refused."""

    def __bool__(self) -> bool:
        return bool(self._submits or self._releases)

    def __contains__(self, task: Task) -> bool:
        """Whether its release is here."""
        return task.id in self._releases

    @property
    def submits(self) -> int:
        return len(self._submits)

    def submit(self, request: Request, task: NewTask) -> None:
        self._submits.append(Submit(request, task))
        self._enqueued += 1

    def release(self, task: Task, release: Release) -> None:
        self._releases[task.id] = Queued(task, release, self._enqueued)

    def batch(self) -> Batch:
        batch, characters = Batch(), 0
        most = 1 if self._singly else _MOST
        for submit in self._submits:
            characters += len(submit.task.recipe)
            if batch.submits and (len(batch.submits) == most or characters > _MOST_CHARACTERS):
                break
            batch.submits.append(submit)
        if not self._singly:
            ready = (queued for queued in self._releases.values() if queued.after <= self._answered)
            batch.releases = list(islice(ready, _MOST))
        return batch

    def one_by_one(self, batch: Batch) -> None:
        """Sends each submit of a batch that was refused in its own call, so that each is answered."""
        self._singly = len(batch.submits)

    def answered(self, submit: Submit) -> None:
        """Removes a submit, which is the first one."""
        self._submits.remove(submit)
        self._answered += 1
        self._singly = max(0, self._singly - 1)

    def done(self, queued: Queued) -> None:
        if self._releases.get(queued.task.id) is queued:
            del self._releases[queued.task.id]

    def discard(self, task_id: int) -> None:
        """Drops the release of a task that is no longer held, or was assigned again."""
        self._releases.pop(task_id, None)

    def unsure(self) -> Iterator[Queued]:
        return (queued for queued in list(self._releases.values()) if queued.unsure)
