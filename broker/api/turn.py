"""The call that a crawler makes after each page: it releases its task, submits links and gets new tasks."""

from collections.abc import Awaitable
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from broker.api import answers, auth
from broker.api.assign import Wanted, asks_first, example, hand_out, refuse_paused
from broker.api.batches import batch
from broker.api.bodies import Turn, TurnGet
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import WORKER, Example, Operation, Routes
from broker.api.tasks import UPDATED, Release, checked_releases, checked_tasks, release_all, slow_downs_of, submit_all
from broker.api.values import MAX_NAMED
from broker.errors import BrokerError, Invalid
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK, PART, Get, Released, project_of
from broker.store.workers import Worker

routes = Routes()


@routes.add(
    "POST /task/turn",
    Operation(
        group="Tasks",
        summary="Release, submit and get in one call",
        text="For workers: what a crawler does after each page. Each part may be absent, null or empty; `get: {}` "
        "gets a task of any project. Everything is checked before anything is done. Then the releases, the submits "
        "and the get are carried out, within a project in this order: the get can return what was submitted, or the "
        "next task of a group whose task was released.\n\n"
        "A part that is refused does not stop the others. `ok` is then false, and `refused` says for each such part "
        "what its own call would say. `updated` is false and `outcomes` ends where it is not known what was done. If "
        "no task is available, `tasks` is empty and nothing is refused. With `wait`, the releases and submits are "
        "done at once, and the answer comes as soon as there is a task.\n\n"
        "If the client is gone before the answer can be written, the tasks of the get are waiting again at once; the "
        "releases and submits stand. After a lost answer, `/task/assigned/{project}` lists the tasks that the worker "
        "got. Do not repeat a call with submits that have no hash: it would submit them twice.",
        who=WORKER,
        body=Turn,
        large=True,
        content=(answers.TurnOutcome,),
        remarks="beside",
        in_parts=True,
        refuses={"invalid": "a part is not valid; nothing was done; `message` names the field: `submits[3].recipe`"},
        example=Example(
            path="/task/turn",
            body={
                "releases": [{"task_id": 200002, "result": 0}],
                "submits": [{"project": 2, "recipe": "https://example.org/c", "unique_string": "c"}],
                "get": {"project": 2},
            },
            content={
                "updated": [True],
                "outcomes": [500002],
                "tasks": [example(500002, "https://example.org/c")],
                "refused": {},
            },
        ),
    ),
)
async def turn(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(Turn)
    releases: list[Release] = []
    project, tasks = 0, list[TaskFields]()
    if body.releases:
        releases = await checked_releases(batch(call, body.releases, "releases", MAX_NAMED), "releases")
    if body.submits:
        project, tasks = await checked_tasks(call, batch(call, body.submits, "submits"), "submits")
    wanted = None if body.get is None else _wanted(call, body.get)

    content: dict[str, Any] = {"updated": [False] * len(releases), "outcomes": [], "tasks": [], "refused": {}}
    turn = _Turn(call, worker, releases, project, tasks, wanted, content)
    for one, parts in groupby(turn.parts(), itemgetter(1)):
        await turn.carry_out(one, [part for part, _ in parts])

    refused = content["refused"]
    if "get" in refused and call.undo is not None:
        # Tasks were assigned, but the answer cannot show them.
        await call.undo()
        call.undo = None
    return Reply(content, f"Refused: {', '.join(refused)}; content.refused says why" if refused else None, not refused)


def _wanted(call: Call, get: TurnGet) -> Wanted:
    count, most = get.count or 1, call.settings.max_count
    if count > most:
        raise Invalid(f"get.count: a whole number from 1 to {most}")
    return Wanted(get.project or 0, count, get.hold or 0, get.wait or 0)


class _Turn(NamedTuple):
    """The parts of the call; empty or None: not asked for."""

    call: Call
    worker: Worker
    releases: list[Release]
    project: int
    """Of the tasks."""
    tasks: list[TaskFields]
    wanted: Wanted | None
    content: dict[str, Any]
    """The content of the answer, filled as the parts are carried out."""

    def parts(self) -> list[tuple[str, int]]:
        """The parts in their order, each with its project if one script carries it out with others, else 0."""
        parts: list[tuple[str, int]] = []
        if self.releases:
            project, *others = {project_of(release.task) for release in self.releases}
            parts.append(("releases", 0 if others or len(self.releases) > PART else project))
        if self.tasks:
            parts.append(("submits", 0 if len(self.tasks) > PART else self.project))
        if (wanted := self.wanted) is not None:
            alone = self.worker.paused or wanted.most > CHUNK or not asks_first(self.call, wanted)
            parts.append(("get", 0 if alone else wanted.project))
        return parts

    async def carry_out(self, project: int, parts: list[str]) -> None:
        """Carries out parts that follow each other, in one script if they are of one project."""
        if project and len(parts) > 1:
            await self._together(project, parts)
            return
        for part in parts:
            if part == "releases":
                await self._end(part, "updated", release_all(self.call, self.worker, self.releases))
            elif part == "submits":
                await self._end(part, "outcomes", submit_all(self.call, self.worker, self.project, self.tasks))
            else:
                await self._end(part, "tasks", self._get())

    async def _together(self, project: int, parts: list[str]) -> None:
        call, worker, content = self.call, self.worker, self.content
        releases = await self._slowed_down(project) if "releases" in parts else []
        tasks = self.tasks if "submits" in parts else []
        get = None
        if (wanted := self.wanted) is not None and "get" in parts:
            get = Get(wanted.most, int(call.settings.max_assign_time), wanted.hold)
        try:
            done = await call.store.tasks.turn(project, worker.id, [release[:3] for release in releases], tasks, get)
        except BrokerError as error:
            for part in parts:
                self._refuse(part, error)
            return
        if isinstance(done.released, Released):
            content["updated"] = [UPDATED[outcome] for outcome in done.released.outcomes]
            if done.released.chained:
                await call.store.chain.flush_if_possible(project)
        if isinstance(done.ids, BrokerError):
            self._refuse("submits", done.ids)
        elif done.ids:
            content["outcomes"] = done.ids
        if wanted is not None and done.assigned is not None:
            await self._end("get", "tasks", hand_out(call, worker, wanted, done.assigned))

    async def _slowed_down(self, project: int) -> list[Release]:
        """Slows groups down first, as a single release does. Returns the releases that can be carried out then."""
        if slow_downs := slow_downs_of(self.releases):
            try:
                await self.call.store.groups.slow(project, self.worker.id, slow_downs)
            except BrokerError as error:
                self._refuse("releases", error)
                return []
        return self.releases

    async def _get(self) -> list[dict[str, object]]:
        refuse_paused(self.worker)
        return await hand_out(self.call, self.worker, self.wanted) if self.wanted else []

    async def _end(self, part: str, field: str, doing: Awaitable[object]) -> None:
        """Sets ``field`` to the result, or notes why ``part`` was refused."""
        try:
            self.content[field] = await doing
        except BrokerError as error:
            if error.content:
                self.content[field] = error.content[field]
            self._refuse(part, error)

    def _refuse(self, part: str, error: BrokerError) -> None:
        if error.code == "no_task":
            return
        refusal: dict[str, object] = {"code": error.code, "message": error.message}
        if error.detail is not None:
            refusal["detail"] = error.detail
        if error.code == "rate_limited":
            refusal["rate_limit_delay"] = error.delay
        self.content["refused"][part] = refusal
