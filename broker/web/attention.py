"""What needs attention: the store, workers, projects."""

import time
from typing import NamedTuple

from broker.store.attention import Needing
from broker.store.monitoring import Memory
from broker.store.projects import READ
from broker.store.worker_stats import SilentHolders
from broker.web import formats

_FULL = 0.8
"""Share of the store's memory that may be used before it is a trouble."""


class Trouble(NamedTuple):
    name: str
    text: str
    place: str
    """The page that shows more of it, below /ui/; '' for none."""


def trouble_of_store(memory: Memory | None) -> list[Trouble]:
    if memory is None or not memory.limit or memory.used < _FULL * memory.limit:
        return []
    share, limit = formats.percent(min(memory.used, memory.limit), memory.limit), formats.size(memory.limit)
    return [Trouble("Store", f"{share} of {limit} are used. When it is full, new tasks are refused.", "")]


def trouble_of_workers(silent: SilentHolders, now: float | None = None) -> list[Trouble]:
    """Silent workers that hold tasks: a machine may be gone, and its tasks are not reclaimed before their deadlines."""
    if silent.last is None or silent.last.seen is None:
        return []
    tasks = formats.count(silent.tasks, "task")
    if silent.workers > 1:
        text = f"Silent: {silent.workers:,} workers that hold {tasks} have not called for 5 minutes or longer."
        return [Trouble("Workers", text, "workers?show=silent")]
    worker = silent.last.worker
    # That is known to the minute.
    span = formats.eta(((time.time() if now is None else now) - silent.last.seen) // 60 * 60)
    text = f"Silent: this worker holds {tasks} and has not called for {span}."
    return [Trouble(worker.alias, text, f"workers/{worker.id}")]


def trouble(one: Needing, now: float | None = None) -> Trouble:
    """The trouble of a project, with a link only to a page that the manager may see."""
    first, second, third = one.numbers
    now = time.time() if now is None else now

    def span(since: int) -> str:
        return formats.eta(max(0, now - since / 1000))

    if one.kind == "stalled":
        waiting = formats.count(second, "task")
        text, page = f"Stalled: no worker got a task for {span(first)}. Waiting: {waiting}.", ""
    elif one.kind == "failing":
        text = f"Failing: {formats.count(first, 'task')} failed in {span(third)}, {second:,} closed."
        page = "/tasks?state=failed"
    elif one.kind == "requests":
        verb = "requests" if first == 1 else "request"
        text, page = f"{formats.count(first, 'worker')} {verb} access.", "/access"
    else:
        text, page = f"Blocked: {first:,} of {formats.count(second, 'group')}.", "/groups?state=blocked"
    may = one.kind == "requests" or one.roles & READ
    return Trouble(one.name, text, f"projects/{one.project}{page if may else ''}")
