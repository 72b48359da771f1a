"""Workers, their secrets, and their access to projects.

Each process keeps records of workers in memory, so that it need not ask Redis about each call. ``:version`` counts
changes of workers. A record is valid for FRESH seconds after the version was last read, so no process uses a record
that was changed longer ago. A call that changes a worker waits that long before it answers
(:meth:`WorkerRecords.outlive`): then the change holds in every process.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls, StoreMetrics

_PAGE = 500
_NO_DIGEST = "0" * 64

FRESH = 0.05
"""Seconds for which records are valid after a read of the version."""

_REFRESH = 0.02
"""Seconds after which the version is read again, while requests come."""

_TIMER = 0.01
"""Seconds by which a timer may be early."""

_MOST = 100_000
"""Records kept."""


class Worker(NamedTuple):
    id: int
    alias: str
    created: int
    paused: bool
    digest: str
    closed_before: int = 0
    """Tasks that it had closed in the original tracker, when it was imported."""


class Record:
    """A worker, and the last right secret that it sent: the same one again needs no digest."""

    __slots__ = ("proven", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.proven = b""


Read = Callable[[Sequence[int]], Awaitable[tuple[int, list[Worker | None]]]]
"""The version, and the workers with these ids."""


class WorkerRecords:
    def __init__(self, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._records: dict[int, Record] = {}
        self._version = -1
        self._asked = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def get(self, id: int) -> Record | None:
        known = self.fresh(id)
        if known is not None:
            return known
        worker = (await self._ask([id]))[0]
        return Record(worker) if worker else None

    def fresh(self, id: int) -> Record | None:
        """The record, if it is in memory and valid."""
        age = self._clock() - self._asked
        if age >= FRESH:
            return None
        if age > _REFRESH and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        return self._records.get(id)

    async def outlive(self) -> None:
        """Returns when no process holds a record from before this call."""
        self._records.clear()
        await asyncio.sleep(FRESH + _TIMER)

    async def _ask(self, ids: Sequence[int]) -> list[Worker | None]:
        asked = self._clock()
        version, workers = await self._read(ids)
        # An answer that was overtaken by a newer one, or a store that lost its last changes: nothing to keep.
        overtaken = version < self._version
        if version != self._version or len(self._records) + len(ids) > _MOST:
            self._records.clear()
        self._version = version
        self._asked = max(self._asked, asked)
        if not overtaken:
            self._records.update((worker.id, Record(worker)) for worker in workers if worker is not None)
        return workers

    async def _refresh(self) -> None:
        try:
            await self._ask([])
        except BrokerError:
            # Nothing was learned: the records end when they are no longer fresh.
            pass
        finally:
            self._refreshing = None


class Workers:
    def __init__(self, calls: Calls, keys: Keys, create_limit: int, metrics: StoreMetrics) -> None:
        """``create_limit``: new workers per minute from one address; 0: no limit."""
        self._calls = calls
        self._keys = keys
        self._create_limit = create_limit
        self._records = WorkerRecords(self._read)
        self._metrics = metrics
        self.now = ""

    async def create(self, alias: str, address: str | None = None) -> tuple[Worker, str]:
        """A new worker and its secret, which is not stored.

        ``address``: of the client; None: not limited. Raises ``rate_limited`` for an address that asks too often.
        """
        secret, digest = _new_secret()
        limit = 0 if address is None else self._create_limit
        args: Arguments = [alias, digest, self.now, address or "", limit]
        id, created = await self._calls.call("worker_create", self._keys.directory, args)
        return Worker(id, alias, created, False, digest), secret

    async def authenticate(self, id: int, secret: bytes) -> Worker:
        """The worker with this id and secret (base64). Raises ``bad_credentials`` for anything else."""
        record = self._records.fresh(id)
        if record is None:
            self._metrics.record_misses.add()
            record = await self._records.get(id)
        else:
            self._metrics.record_hits.add()
        if record is not None and record.proven and hmac.compare_digest(secret, record.proven):
            return record.worker
        right = hmac.compare_digest(_digest(secret), record.worker.digest if record else _NO_DIGEST)
        if record is None or not right:
            raise bad_credentials()
        record.proven = secret
        return record.worker

    async def get(self, ids: Sequence[int]) -> list[Worker | None]:
        """The worker of each id as it is now, or None; at most 500."""
        return (await self._read(ids))[1]

    async def _read(self, ids: Sequence[int]) -> tuple[int, list[Worker | None]]:
        version, *rows = await self._calls.call("worker_get", self._keys.directory, ids)
        return version, [
            Worker(id, row[0], int(row[1]), row[2] == "1", row[3], int(row[4] or 0)) if row else None
            for id, row in zip(ids, rows, strict=True)
        ]

    async def count(self) -> int:
        """The last worker's id; they count from 1."""
        return int(await self._calls.command("GET", self._keys.last_worker) or 0)

    async def closed_by(self, project: int, workers: Sequence[int]) -> list[tuple[int, int]]:
        """How many of a project's tasks each of these workers has closed, and how often it failed one; at most 500."""
        fields: Arguments = [*workers, *(f"-{worker}" for worker in workers)]
        counts: list[int] = await self._calls.call("closed_by", self._keys.project(project), fields)
        return [*zip(counts[: len(workers)], counts[len(workers) :], strict=True)]

    async def rename(self, id: int, alias: str) -> None:
        await self._set(id, "alias", alias)

    async def pause(self, id: int, paused: bool) -> None:
        await self._set(id, "paused", "1" if paused else "0")

    async def rotate_secret(self, id: int) -> str:
        """A new secret; the old one ends at once."""
        secret, digest = _new_secret()
        await self._set(id, "digest", digest)
        return secret

    async def outlive(self) -> None:
        """As :meth:`WorkerRecords.outlive`."""
        await self._records.outlive()

    async def _set(self, id: int, field: str, value: str) -> None:
        await self._calls.call("worker_set", self._keys.directory, [id, field, value])
        await self._records.outlive()

    async def projects(self, id: int) -> set[int]:
        """A hint: the projects in which the worker was granted access."""
        return {int(project) for project in await self._calls.command("SMEMBERS", self._keys.worker_projects(id))}

    async def request_access(self, project: int, worker: int, *, assign: bool, submit: bool) -> None:
        asked = ",".join(what for what, wanted in (("assign", assign), ("submit", submit)) if wanted)
        await self._calls.call("request_access", self._keys.project(project), [worker, asked])

    async def grant(self, project: int, worker: int) -> None:
        """The hint comes first, so that no crash leaves access without it, and again, after a revocation in between."""
        await self.hint(project, worker, True)
        await self._calls.call("grant", self._keys.project(project), [worker])
        await self.hint(project, worker, True)

    async def revoke(self, project: int, worker: int) -> None:
        await self.hint(project, worker, False)
        await self._calls.call("revoke", self._keys.project(project), [worker])

    async def hint(self, project: int, worker: int, has: bool) -> None:
        """Notes that the worker has access to the project, or no longer has. Raises ``not_found``."""
        await self._calls.call("worker_hint", self._keys.directory, [worker, project, "1" if has else "0"])

    async def access(self, project: int, worker: int) -> str:
        """What was granted: 'assign', 'submit', 'assign,submit' or ''."""
        may: str = await self._calls.call("access_of", self._keys.project(project), [worker])
        return may


def bad_credentials() -> BrokerError:
    return BrokerError("bad_credentials", "X-Worker-ID and X-Secret are not those of a worker")


def _new_secret() -> tuple[str, str]:
    raw = secrets.token_bytes(32)
    return base64.b64encode(raw).decode(), hashlib.sha256(raw).hexdigest()


def _digest(secret: bytes) -> str:
    try:
        return hashlib.sha256(base64.b64decode(secret, validate=True)).hexdigest()
    except (binascii.Error, ValueError):
        return ""
