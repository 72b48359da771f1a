"""When a worker was last seen, and its ``X-Worker-Info``: shown to managers, and to the worker itself."""

from typing import NamedTuple

from broker.api import auth
from broker.api.requests import Call
from broker.store.worker_stats import WorkerCounts


class Sees(NamedTuple):
    """The workers for which a caller sees this: all, or only itself."""

    all: bool = False
    own: int | None = None

    def worker(self, id: int) -> bool:
        return self.all or id == self.own


async def seen_by(call: Call) -> Sees:
    """Wrong credentials of a worker count as none."""
    if await auth.manager_if_any(call):
        return Sees(all=True)
    worker = await auth.worker_if_any(call)
    return Sees(own=worker.id if worker else None)


def view(row: WorkerCounts) -> dict[str, object]:
    return {
        "last_seen": row.seen,
        "held_task_count": row.held,
        "failed_task_count": row.failed,
        "version": row.info.version,
        "host": row.info.host,
    }
