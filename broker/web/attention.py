"""What needs attention in a project, by its counts, and in the store."""

from typing import NamedTuple

from broker.store.monitoring import Memory, Stats
from broker.store.projects import MANAGE_ACCESS, READ, Project
from broker.web import formats
from broker.web.trends import SPAN, Trend

_IDLE = 60
"""Seconds without a closed task after which a project with waiting tasks is stalled."""

_FAILED = 10
"""Failed tasks from which a project is failing, if they are at least a fifth of the finished ones."""

_FULL = 0.8
"""Used share of the store's memory."""


STORE, STALLED, FAILING, REQUESTS, BLOCKED = range(5)
"""Kinds of trouble, the worst first."""


class Trouble(NamedTuple):
    rank: int
    """STORE, STALLED, FAILING, REQUESTS or BLOCKED."""
    project: int
    """0: the store."""
    name: str
    text: str
    place: str
    """The page that shows more of it, below /ui/; '' for none."""


def trouble_of_store(memory: Memory | None) -> list[Trouble]:
    if memory is None or not memory.limit or memory.used < _FULL * memory.limit:
        return []
    share, limit = formats.percent(min(memory.used, memory.limit), memory.limit), formats.size(memory.limit)
    return [Trouble(STORE, 0, "Store", f"{share} of {limit} are used. When it is full, new tasks are refused.", "")]


def troubles(project: Project, stats: Stats, trend: Trend, now: float) -> list[Trouble]:
    """Links only to pages that the manager may see."""
    found = list[Trouble]()

    def add(rank: int, text: str, page: str, role: int = 0) -> None:
        may = not role or project.roles & role
        place = f"projects/{project.id}{page if may else ''}"
        found.append(Trouble(rank, project.id, project.fields["name"], text, place))

    waiting = stats.waiting + stats.verifying
    groups = stats.groups_ready + stats.groups_resting + stats.groups_full
    # Resting groups are no reason for attention.
    may_start = stats.groups_ready or not groups
    idle = now - trend.idle_since if trend.idle_since else 0
    if waiting and not stats.assigned and may_start and idle >= _IDLE and project.fields["paused"] != "1":
        tasks, time = formats.count(waiting, "task"), formats.eta(idle)
        add(STALLED, f"Stalled: no worker holds a task, and none was closed for {time}. Waiting: {tasks}.", "")
    if trend.failed >= _FAILED and 4 * trend.failed >= trend.closed:
        text = f"Failing: {formats.count(trend.failed, 'task')} failed in {formats.eta(SPAN)}, {trend.closed:,} closed."
        add(FAILING, text, "/tasks?state=failed", READ)
    if stats.requests and project.roles & MANAGE_ACCESS:
        verb = "requests" if stats.requests == 1 else "request"
        add(REQUESTS, f"{formats.count(stats.requests, 'worker')} {verb} access.", "/access")
    if stats.groups_blocked and 2 * stats.groups_blocked >= groups:
        add(
            BLOCKED,
            f"Blocked: {stats.groups_blocked:,} of {formats.count(groups, 'group')}.",
            "/groups?state=blocked",
            READ,
        )
    return found
