"""Tokens of managers: a program that sends one may do what its manager may."""

import secrets
from typing import NamedTuple

from broker.store.managers import Manager, digest
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

MOST = 100
"""Tokens that a manager has at most."""

_PREFIX = "tbm_"
"""So that secret scanners, and people, recognize a token."""


class ManagerToken(NamedTuple):
    id: int
    name: str
    expires: int
    last_used: int | None
    """Unix seconds, to the minute; None: never."""


class ManagerTokens:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self.now = ""

    async def create(self, manager: int, cookie: str, name: str, seconds: int) -> tuple[str, int]:
        """The token, which is not stored, and its id. ``cookie``: of the session in which the manager asks.

        Raises ``limit_reached``, and ``not_logged_in`` when that session has ended meanwhile.
        """
        token = _PREFIX + secrets.token_urlsafe(32)
        args: Arguments = [manager, digest(cookie), digest(token), name, seconds, MOST, self.now]
        return token, await self._calls.call("manager_token_create", self._keys.directory, args)

    async def manager_of(self, token: str) -> Manager | None:
        """None: the token is unknown, revoked or expired."""
        row = await self._calls.call("manager_token_get", self._keys.directory, [digest(token), self.now])
        return Manager(int(row[0]), row[1], row[2] == "1", int(row[3])) if row else None

    async def of_manager(self, manager: int) -> list[ManagerToken]:
        """The manager's tokens that have not expired, by id."""
        rows = await self._calls.call("manager_token_list", self._keys.directory, [manager, self.now, MOST])
        return sorted(ManagerToken(id, name, expires, used or None) for id, name, expires, used in rows)

    async def revoke(self, manager: int, id: int) -> bool:
        """Whether ``manager`` had this token."""
        return bool(await self._calls.call("manager_token_revoke", self._keys.directory, [manager, id, MOST]))
