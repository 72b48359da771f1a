"""Access for many workers: a manager accepts their requests together, or they join with a token.

A join token is shown once. The project's slot keeps its digest, so that one script uses the token and grants access.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.shared_read import rest
from broker.store.workers import bad_credentials

_PAGE = 500

_DUTY = 0.3
"""Share of the time while all requests of a project are accepted; others are served in the rest of it."""


_TOKENS = 100
"""Join tokens that a project has at most."""

DAYS_30 = 30 * 86_400


class JoinToken(NamedTuple):
    id: int
    assign: bool
    submit: bool
    uses_left: int | None
    """None for any number."""
    expires: int
    """Unix seconds."""


class Joining:
    def __init__(self, calls: Calls, keys: Keys, limit: int) -> None:
        """``limit``: wrong join tokens per minute from one address; 0: no limit."""
        self._calls = calls
        self._keys = keys
        self._limit = limit
        self.now = ""

    async def create_token(
        self, project: int, *, assign: bool, submit: bool, uses: int = 0, expires_in: int = DAYS_30
    ) -> tuple[int, str]:
        """The id of a new token, and the token, which is not stored. ``uses``: 0 for any number.

        The token names its project, so that a program needs no more than the token.

        Raises ``not_found``, ``limit_reached``.
        """
        token = f"tbj_{project}_{secrets.token_urlsafe(32)}"
        args: Arguments = [_digest(token), _may(assign, submit), uses or "-", expires_in, _TOKENS, self.now]
        return await self._calls.call("join_token_create", self._keys.project(project), args), token

    async def tokens(self, project: int) -> list[JoinToken]:
        """Those that have not expired, by id. Raises ``not_found``."""
        rows = await self._calls.call("join_token_list", self._keys.project(project), [self.now])
        return sorted(
            JoinToken(int(id), "assign" in may, "submit" in may, None if uses == "-" else int(uses), expires)
            for id, may, uses, expires in rows
        )

    async def revoke_token(self, project: int, token: int) -> None:
        """Raises ``not_found``."""
        await self._calls.call("join_token_revoke", self._keys.project(project), [token])

    async def join(self, project: int, worker: int, token: str, address: str) -> str:
        """Grants access, and returns what the worker may do. The hint is written before and after, as for any grant.

        Raises ``not_found``; ``denied`` for a wrong token or a rejected worker; ``rate_limited`` for an address that
        has sent too many wrong tokens; ``bad_credentials`` for a deleted worker.
        """
        await self._check_address(address, failed=False)
        digest = _digest(token)
        may, has = await self._join(project, worker, digest, address, joins=False)
        if not await self._hint(project, [worker]):
            # It was deleted a moment ago.
            raise bad_credentials()
        if not has:
            may, _ = await self._join(project, worker, digest, address, joins=True)
            await self._hint(project, [worker])
        return may

    async def _join(self, project: int, worker: int, digest: str, address: str, *, joins: bool) -> tuple[str, bool]:
        """What the worker may do, and whether it had that before."""
        args: Arguments = [worker, digest, "1" if joins else "", self.now]
        may, more = await self._calls.call("join", self._keys.project(project), args)
        if not may:
            await self._check_address(address, failed=True)
            raise BrokerError("denied", f"token: it {more}")
        return may, bool(more)

    async def _check_address(self, address: str, *, failed: bool) -> None:
        args: Arguments = [address, self._limit, "1" if failed else "", self.now]
        await self._calls.call("join_limit", self._keys.directory, args)

    async def accept(self, project: int, workers: Sequence[int]) -> int:
        """Accepts the requests of these workers, and answers how many there were. Raises ``not_found``."""
        accepted = 0
        for start in range(0, len(workers), _PAGE):
            accepted += await self._accept(project, workers[start : start + _PAGE])
        return accepted

    async def accept_all(self, project: int) -> int:
        """Accepts all requests that there are now, page by page, and answers how many. Raises ``not_found``."""
        accepted, cursor = 0, ""
        while cursor != "0":
            begun = time.monotonic()
            key = self._keys.access(project, "requests")
            cursor, row = await self._calls.command("HSCAN", key, cursor or "0", "COUNT", _PAGE)
            # HSCAN returns a small hash at once.
            accepted += await self.accept(project, [int(worker) for worker in row[::2]])
            await rest(begun, _DUTY)
        return accepted

    async def _accept(self, project: int, workers: Sequence[int]) -> int:
        """Hints first, as in :meth:`~broker.store.workers.Workers.grant`: no crash leaves access without its hint."""
        asked = await self._calls.command("HMGET", self._keys.access(project, "requests"), *workers)
        asking = [worker for worker, what in zip(workers, asked, strict=True) if what]
        if not asking:
            return 0
        there = await self._hint(project, asking)
        accepted = await self._calls.call("grant_requests", self._keys.project(project), there)
        await self._hint(project, accepted)
        return len(accepted)

    async def _hint(self, project: int, workers: Sequence[int | str]) -> list[str]:
        """Notes that the workers have access to the project, and returns those that exist."""
        there: list[str] = await self._calls.call("workers_hint", self._keys.directory, [project, *workers])
        return there


def _may(assign: bool, submit: bool) -> str:
    return ",".join(what for what, given in (("assign", assign), ("submit", submit)) if given)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
