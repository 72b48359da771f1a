"""Sends the results of a worker to the broker: many in one call, each until it is answered."""

import asyncio
import logging
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.heartbeat import Heartbeat, same_get
from broker.client.types import ClientError, NewTask, Refused, Release, Result, Task, Turn, Unreachable

log = logging.getLogger("broker.client")

_GATHER = 0.02
"""Seconds for which a result waits for others, or for the next get of its consumer."""

_MOST, _MOST_CHARACTERS = 500, 2 << 20
"""Releases and submitted tasks in one call; and characters of their recipes."""

_LONGEST = 30
"""Maximum seconds before submits over a rate are sent again: a manager may have raised the rate."""

_KEPT = 10_000
"""How many submits of a project may wait for its rate before the worker gets no more of its tasks."""

_PASSING = {"rate_limited", "unavailable"}
"""Refusals after which a part is sent again."""

_BUSY = {408, 425, 429}
"""Statuses with which a proxy refuses any call for a while."""


@dataclass(eq=False)
class _Queued:
    task: Task
    release: Release | None
    """None if it was carried out, but some submits of the task were not."""
    submits: list[NewTask]
    unsure: bool = False
    """Whether it may have been carried out."""
    alone: bool = False
    """Whether it is sent in a call of its own, because one with others was refused."""
    most: int = _MOST
    """Tasks that it submits in one call."""
    due: float = 0
    """When it is sent, by the clock of the event loop."""
    backoff: Backoff = field(default_factory=lambda: Backoff(1, 30))


@dataclass
class _Batch:
    """The contents of one call: of the last result, perhaps only the first of its submits."""

    queued: list[_Queued] = field(default_factory=list)
    releases: list[_Queued] = field(default_factory=list)
    submits: list[NewTask] = field(default_factory=list)


class ReleaseQueue:
    """``lease``: seconds for which tasks are held that are assigned by the call of a batch."""

    def __init__(self, client: AsyncClient, heartbeat: Heartbeat, lease: int) -> None:
        self._client = client
        self._heartbeat = heartbeat
        self._lease = lease
        self._queued: dict[int, _Queued] = {}
        self._sending: set[_Queued] = set()
        self._filled = asyncio.Event()
        self._backoff = Backoff()

    def put(self, task: Task, release: Release) -> None:
        """Queues a release, with the submits of the task if it is an OK."""
        before = self._queued.pop(task.id, None)
        submits = [*(before.submits if before else ()), *(task.submits if release.result is Result.OK else ())]
        self._queued[task.id] = _Queued(task, release, submits)
        self._filled.set()

    def discard(self, task_id: int) -> None:
        """Drops the release of a task that was assigned again: the release arrived, and must not be sent twice."""
        queued = self._queued.get(task_id)
        if queued is not None:
            queued.release = None
            if not queued.submits:
                del self._queued[task_id]

    async def run(self) -> None:
        """Sends what is queued, until it is cancelled."""
        while True:
            waiting = [queued.due for queued in self._queued.values() if queued not in self._sending]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(waiting, default=None)):
                    await self._filled.wait()
            await asyncio.sleep(_GATHER)
            self._filled.clear()
            await asyncio.sleep(await self._send_due())

    async def drain(self) -> None:
        """Sends everything, also after :meth:`run` was cancelled."""
        while self._queued:  # noqa: ASYNC110 - it sends
            await asyncio.sleep(min(await self._send_due() or _GATHER, 0.5))

    def close(self) -> None:
        """Drops what was not sent, and logs how much that is."""
        releases = sum(queued.release is not None for queued in self._queued.values())
        lost = sum(len(queued.submits) for queued in self._queued.values() if queued.release is None)
        self._queued.clear()
        if releases:
            log.warning("%d releases did not arrive: those tasks come back after their leases", releases)
        if lost:
            log.error("%d tasks could not be submitted before the end, and are lost", lost)

    async def until_sent(self, task_id: int) -> None:
        while task_id in self._queued:  # noqa: ASYNC110 - rare, so there is no event for it
            await asyncio.sleep(_GATHER)

    async def until_few_submits(self, project: int) -> None:
        """Waits while many submits of the project wait for its rate: they must not fill the memory."""
        while self._submits(project) > _KEPT:  # noqa: ASYNC110 - rare, so there is no event for it
            await asyncio.sleep(0.5)

    def _submits(self, project: int) -> int:
        return sum(len(queued.submits) for queued in self._queued.values() if queued.task.project.id == project)

    async def take_along(self, project: int, count: int) -> list[Task] | None:
        """Sends what is queued for the project in the call that gets the next tasks; None if nothing is queued.

        Raises :class:`Unreachable` if the call may have been carried out.
        """
        batch = self._batch(project, with_get=True)
        return (await self._send(project, batch, count)).tasks if batch else None

    async def settle(self, project: int) -> None:
        """Drops releases that were carried out but whose answer was lost: their tasks may have been assigned again."""
        of_project = [queued for queued in self._queued.values() if queued.task.project.id == project]
        idle = [queued for queued in of_project if queued not in self._sending]
        await self._drop_carried_out(project, idle)
        self._remove(queued for queued in idle if queued.release is None and not queued.submits)

    async def _send_due(self) -> float:
        """Sends what is due. Returns for how many seconds to send nothing, because the broker does not answer."""
        for project in {queued.task.project.id for queued in self._queued.values()}:
            while batch := self._batch(project):
                try:
                    await self._send(project, batch)
                except Unreachable as error:
                    if not _is_about(error):
                        return self._backoff.pause(error.delay)
                except Exception:  # for lack of memory, say
                    log.exception("%d releases could not be sent, and are sent again", len(batch.queued))
                    return self._backoff.pause()
        return 0

    def _batch(self, project: int, *, with_get: bool = False) -> _Batch | None:
        """What to send next, without what is being sent or not due. A call with a get has nothing that must be sent
        alone.
        """
        batch, characters, now = _Batch(), 0, _now()
        for queued in self._queued.values():
            if queued.task.project.id != project or queued in self._sending or queued.due > now:
                continue
            if queued.alone and (with_get or batch.queued):
                continue
            if len(batch.releases) == _MOST:
                break
            batch.queued.append(queued)
            for task in queued.submits:
                characters += len(task.recipe)
                if batch.submits and (len(batch.submits) == queued.most or characters > _MOST_CHARACTERS):
                    return batch
                batch.submits.append(task)
            if queued.release is not None:
                batch.releases.append(queued)
            if queued.alone:
                break
        return batch if batch.queued else None

    async def _send(self, project: int, batch: _Batch, count: int = 0) -> Turn:
        """Raises :class:`Unreachable` if the call may have been carried out."""
        self._sending.update(batch.queued)
        try:
            await self._drop_carried_out(project, batch.releases)
            releases = [queued.release for queued in batch.releases if queued.release is not None]
            turn = await self._client.turn(
                project, releases=releases, submits=batch.submits, count=count, hold=self._lease, patience=0
            )
            self._note(batch, turn)
            return turn
        except Refused as error:
            self._refused(batch, error)
            return Turn([], [], [], {})
        except BaseException as error:
            for queued in batch.queued:
                queued.unsure = True
            if isinstance(error, Unreachable) and _is_about(error):
                self._send_apart(batch, error)
            raise
        finally:
            self._sending.difference_update(batch.queued)
            self._remove(queued for queued in batch.queued if queued.release is None and not queued.submits)
            # What is left is sent by :meth:`run`.
            self._filled.set()

    def _note(self, batch: _Batch, turn: Turn) -> None:
        """Removes what was done, and what the broker will never accept."""
        self._backoff.reset()
        submitted, refused = len(turn.outcomes), turn.refused.get("submits")
        if refused is not None and refused.code not in _PASSING:
            left = len(batch.submits) - submitted
            log.error("%d tasks could not be submitted, and are lost: %s", left, refused.message)
            submitted += left
        for queued in batch.queued:
            done = min(submitted, len(queued.submits))
            del queued.submits[:done]
            submitted -= done
        refused = turn.refused.get("releases")
        for queued in batch.releases:
            queued.unsure = refused is not None
            if refused is None:
                queued.release = None
        again = [turn.refused[part] for part in ("releases", "submits") if part in turn.refused]
        pause = max((part.rate_limit_delay or 1.0 for part in again), default=0)
        for queued in batch.queued:
            queued.due = _now() + min(pause, _LONGEST)

    def _refused(self, batch: _Batch, error: Refused) -> None:
        """Nothing of the call was done."""
        first = batch.queued[0]
        if len(batch.queued) > 1 or (error.code == "too_large" and len(batch.submits) > 1):
            self._send_apart(batch, error)
        elif first.submits and error.status in {400, 413}:
            log.error("task %d failed, because its submits were refused: %s", first.task.id, error)
            first.submits.clear()
            first.release = first.release and Release(first.task.id, Result.FAIL, message=error.reason)
        else:
            log.error("task %d could not be released, and comes back after its deadline: %s", first.task.id, error)
            first.release, first.submits = None, []

    def _send_apart(self, batch: _Batch, error: ClientError) -> None:
        """After a call was refused as a whole: sends each result in its own call, and a single one in smaller calls,
        later.
        """
        if len(batch.queued) > 1:
            for queued in batch.queued:
                queued.alone = True
            return
        (queued,) = batch.queued
        queued.alone = True
        if len(batch.submits) > 1:
            queued.most = math.ceil(len(batch.submits) / 2)
        else:
            queued.due = _now() + queued.backoff.pause()
            log.warning("the result of task %d does not arrive, and is sent again: %s", queued.task.id, error)

    async def _drop_carried_out(self, project: int, releases: Iterable[_Queued]) -> None:
        """Drops releases that were carried out without an answer.

        A fail or a skip must not arrive twice: between the two, this worker may have been assigned the task again.
        So this asks the broker which tasks the worker still holds from the same get. An OK may arrive twice, unless
        the task comes again.
        """
        if not (unsure := [queued for queued in releases if queued.unsure]):
            return
        held = {task.id: task for task in await self._client.assigned(project)}
        # The broker lists only 1,000 tasks. An extend shows whether this worker still holds the others.
        unlisted = [queued.task for queued in unsure if _once(queued.release) and queued.task.id not in held]
        if unlisted:
            extended = await self._client.extend([task.id for task in unlisted], self._lease)
            held |= {task.id: task for task, is_held in zip(unlisted, extended, strict=True) if is_held}
        for queued in unsure:
            queued.unsure = False
            if _once(queued.release) and not same_get(queued.task, held.get(queued.task.id)):
                queued.release = None

    def _remove(self, done: Iterable[_Queued]) -> None:
        for queued in done:
            if self._queued.get(queued.task.id) is queued:
                del self._queued[queued.task.id]
                self._heartbeat.remove(queued.task.id)


def _once(release: Release | None) -> bool:
    """Whether it must not arrive twice."""
    return release is not None and (release.result is not Result.OK or release.again_in > 0)


def _is_about(error: Unreachable) -> bool:
    """Whether a proxy may have refused this very call, for its size or its contents, and would pass on others."""
    return error.status is not None and 300 <= error.status < 500 and error.status not in _BUSY


def _now() -> float:
    return asyncio.get_running_loop().time()
