"""Managers and their sessions."""

import asyncio
import hashlib
import secrets
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from broker.errors import BrokerError
from broker.store.calls import Arguments, Calls
from broker.store.keys import Keys

ATTEMPTS = 10
"""Wrong passwords a minute for one name; from the last of them on, nobody may try."""

_PAGE = 500

_SESSIONS = 100
"""Sessions that a list has at most."""

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. About 20 ms.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified in place of an unknown manager's, so that the time tells nothing.
_NOBODY = _HASHER.hash(secrets.token_hex(16))


class Manager(NamedTuple):
    id: int
    username: str
    tracker_admin: bool
    register_time: int

    def view(self) -> dict[str, object]:
        return self._asdict()


class Session(NamedTuple):
    id: str
    """The digest of its cookie, which does not give the cookie away."""
    created: int
    ends: int
    current: bool


class Managers:
    def __init__(self, calls: Calls, keys: Keys, session_ttl: int) -> None:
        """``session_ttl`` in seconds."""
        self._calls = calls
        self._keys = keys
        self._session_ttl = session_ttl
        self.now = ""
        # One password at a time: guesses at one name stay countable, and hashing never takes more than a core.
        self._hashing = asyncio.Lock()

    async def register(self, username: str, password: str, *, open_to_all: bool) -> int:
        """The new manager's id. Raises ``duplicate`` for a taken name, ``denied`` when registration is off."""
        async with self._hashing:
            hashed = await asyncio.to_thread(_HASHER.hash, password)
        args: Arguments = [username, hashed, self.now, "1" if open_to_all else "0"]
        manager: int = await self._calls.call("manager_register", self._keys.directory, args)
        return manager

    async def check_password(self, username: str, password: str) -> int:
        """The manager's id. Raises ``bad_credentials``, or ``rate_limited`` from the tenth failure in a minute."""
        async with self._hashing:
            id, hashed, failures, seconds = await self._find(username)
            if failures >= ATTEMPTS:
                raise _too_many(seconds)
            if await asyncio.to_thread(_matches, hashed or _NOBODY, password) and id:
                return int(id)
            failures, seconds = await self._calls.call("login_failed", self._keys.directory, [username])
        if failures >= ATTEMPTS:
            raise _too_many(seconds)
        raise wrong_password()

    async def every(self) -> list[Manager]:
        managers: list[Manager] = []
        first = 1
        while rows := await self._calls.call("manager_list", self._keys.directory, [first, _PAGE]):
            managers += (Manager(id, name, admin == "1", int(time)) for id, name, admin, time in rows)
            first = rows[-1][0] + 1
        return managers

    async def find(self, username: str) -> int | None:
        id = (await self._find(username))[0]
        return int(id) if id else None

    async def _find(self, username: str) -> tuple[str | None, str | None, int, int]:
        """(id, hash, failures in the last minute, seconds until they expire)."""
        id, hashed, failures, seconds = await self._calls.call("manager_find", self._keys.directory, [username])
        return id, hashed, failures, seconds

    async def set_admin(self, asking: int | None, manager: int, admin: bool) -> None:
        """``asking`` is None for the operator's shell. Raises ``denied``, ``not_found``."""
        args: Arguments = ["" if asking is None else asking, manager, "1" if admin else "0"]
        await self._calls.call("admin_set", self._keys.directory, args)

    async def set_password(self, manager: int, password: str) -> None:
        """All sessions of the manager end."""
        async with self._hashing:
            hashed = await asyncio.to_thread(_HASHER.hash, password)
        await self._calls.call("password_set", self._keys.directory, [manager, hashed])

    async def open_session(self, manager: int, previous: str | None) -> str:
        """The new session's cookie; the session of the ``previous`` one ends."""
        cookie = secrets.token_urlsafe(32)
        before = _digest(previous) if previous else ""
        args: Arguments = [manager, _digest(cookie), before, self._session_ttl, self.now]
        await self._calls.call("session_open", self._keys.directory, args)
        return cookie

    async def of_session(self, cookie: str) -> Manager | None:
        row = await self._calls.call("session_get", self._keys.directory, [_digest(cookie)])
        return Manager(int(row[0]), row[1], row[2] == "1", int(row[3])) if row else None

    async def sessions(self, manager: int, cookie: str) -> list[Session]:
        """The latest of a manager's sessions; ``cookie`` says which is the current one."""
        args: Arguments = [manager, self.now, _SESSIONS]
        rows = await self._calls.call("session_list", self._keys.directory, args)
        return [Session(id, created, ends, id == _digest(cookie)) for id, created, ends in rows]

    async def close_session(self, cookie: str) -> None:
        await self.end_session(None, _digest(cookie))

    async def end_session(self, manager: int | None, id: str) -> bool:
        """Whether ``manager`` had this session; with None it may be anybody's."""
        args: Arguments = [id, "" if manager is None else manager]
        return bool(await self._calls.call("session_close", self._keys.directory, args))


def wrong_password() -> BrokerError:
    return BrokerError("bad_credentials", "Wrong username or password", status=403)


def _too_many(seconds: int) -> BrokerError:
    return BrokerError("rate_limited", f"Too many wrong passwords for this name: wait {seconds} s", delay=seconds)


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerifyMismatchError:
        return False


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
