"""Managers, their passwords and their sessions.

Passwords are hashed in a thread, one at a time. One address cannot take all turns.
"""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from broker.errors import BrokerError
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

ATTEMPTS = 10
"""Wrong passwords per minute for one name; after the last one, nobody may try."""

_PAGE = 500

_SESSIONS = 100
"""Sessions that a manager has at most; a new one ends the oldest."""

_SHELL = "shell"
"""Instead of an address: the operator's shell, which has no limit."""

WAITING = 16
"""Calls of one address that may wait for their turn: others wait at most 0.3 s for its hashes."""

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. About 20 ms.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified for an unknown name, so that the time does not reveal it. The hash of a random password; making one at every
# start would take a tenth of a second.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$juoWwd+uD6mV9qBufpyRvA$Bg85qgozleXTnlPYlBrRzS3SJcII1XX12rAug4HUEyo"

# A thread of its own: logins do not wait for other work in threads, such as checking a large webhook.
_THREAD = ThreadPoolExecutor(1, "passwords")


class Manager(NamedTuple):
    id: int
    username: str
    tracker_admin: bool
    register_time: int


class Proven(NamedTuple):
    """A manager who gave the right password, with its hash. Calls with it are refused once the password has changed."""

    id: int
    hashed: str


class Session(NamedTuple):
    id: str
    """The digest of its cookie, which does not give the cookie away."""
    created: int
    ends: int
    current: bool
    address: str = ""
    """From which the manager logged in; '' if it is not known."""
    browser: str = ""
    """The ``User-Agent`` of the login."""


class Passwords:
    def __init__(self) -> None:
        # One at a time: guesses at one name stay countable, and hashing never takes more than a core.
        self._hashing = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Waits for the turn to hash. Raises ``rate_limited`` when too many calls of this address wait already."""
        if self._waiting[address] >= WAITING:
            raise BrokerError("rate_limited", "Too many sign-ins at once from this address: ask again in 1 s", delay=1)
        self._waiting[address] += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]


class Managers:
    def __init__(self, calls: Calls, keys: Keys, session_ttl: int, register_limit: int, login_limit: int) -> None:
        """``session_ttl`` in seconds; registrations and wrong passwords per minute from one address, 0: no limit."""
        self._calls = calls
        self._keys = keys
        self._session_ttl = session_ttl
        self._register_limit = register_limit
        self._login_limit = login_limit
        self._passwords = Passwords()
        self.now = ""

    async def register(self, username: str, password: str, *, open_to_all: bool, address: str | None = None) -> Proven:
        """The new manager. Raises ``duplicate`` for a taken name, ``denied`` when registration is off.

        ``address``: of the client, None for the operator's shell. Raises ``rate_limited`` for an address that asks
        too often.
        """
        if address is not None:
            await self._calls.call("register_begin", self._keys.directory, [address, self._register_limit, self.now])
        async with self._passwords.turn(address or _SHELL):
            hashed = await _hash(password)
        args: Arguments = [username, hashed, self.now, "1" if open_to_all else "0"]
        return Proven(await self._calls.call("manager_register", self._keys.directory, args), hashed)

    async def check_password(self, username: str, password: str, address: str) -> Proven:
        """Raises ``bad_credentials``, or ``rate_limited`` for a name from the tenth failure in a minute on, and for an
        address that fails too often."""
        async with self._passwords.turn(address):
            id, hashed, failures, seconds = await self._find(username, address, self._login_limit)
            if failures >= ATTEMPTS:
                raise _too_many(seconds)
            if await _matches(hashed, password) and id and hashed:
                return Proven(int(id), hashed)
            args: Arguments = [username, address, self._login_limit, self.now]
            failures, seconds = await self._calls.call("login_failed", self._keys.directory, args)
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
        id = (await self._find(username, _SHELL, 0))[0]
        return int(id) if id else None

    async def _find(self, username: str, address: str, limit: int) -> tuple[str | None, str | None, int, int]:
        """(id, hash, failures in the last minute, seconds until they expire)."""
        args: Arguments = [username, address, limit, self.now]
        id, hashed, failures, seconds = await self._calls.call("manager_find", self._keys.directory, args)
        return id, hashed, failures, seconds

    async def set_admin(self, asking: int | None, manager: int, admin: bool) -> None:
        """``asking`` is None for the operator's shell. Raises ``denied``, ``not_found``."""
        args: Arguments = ["" if asking is None else asking, manager, "1" if admin else "0"]
        await self._calls.call("admin_set", self._keys.directory, args)

    async def set_password(self, manager: Proven, password: str, address: str) -> None:
        """Changes the password; all sessions and tokens of the manager end.

        Raises ``bad_credentials`` when the password was changed meanwhile.
        """
        async with self._passwords.turn(address):
            hashed = await _hash(password)
        args: Arguments = [manager.id, hashed, manager.hashed]
        if await self._calls.call("password_set", self._keys.directory, args) < 0:
            raise wrong_password()

    async def open_session(self, manager: Proven, previous: str | None, *, address: str = "", browser: str = "") -> str:
        """Opens a session and returns its cookie; the session of the ``previous`` cookie ends.

        Raises ``bad_credentials`` when the password was changed meanwhile.
        """
        cookie = secrets.token_urlsafe(32)
        before = digest(previous) if previous else ""
        args: Arguments = [manager.id, digest(cookie), before, self._session_ttl, self.now, manager.hashed, _SESSIONS]
        args += [address, browser]
        if not await self._calls.call("session_open", self._keys.directory, args):
            raise wrong_password()
        return cookie

    async def of_session(self, cookie: str) -> Manager | None:
        row = await self._calls.call("session_get", self._keys.directory, [digest(cookie), self.now])
        return Manager(int(row[0]), row[1], row[2] == "1", int(row[3])) if row else None

    async def sessions(self, manager: int, cookie: str) -> list[Session]:
        """The latest of a manager's sessions; ``cookie`` says which is the current one."""
        args: Arguments = [manager, self.now, _SESSIONS]
        rows = await self._calls.call("session_list", self._keys.directory, args)
        return [
            Session(id, created, ends, id == digest(cookie), address or "", browser or "")
            for id, created, ends, address, browser in rows
        ]

    async def close_session(self, cookie: str) -> None:
        await self.end_session(None, digest(cookie))

    async def end_session(self, manager: int | None, id: str) -> bool:
        """Ends a session. Returns whether ``manager`` had it; None: any manager."""
        args: Arguments = [id, "" if manager is None else manager]
        return bool(await self._calls.call("session_close", self._keys.directory, args))


def wrong_password() -> BrokerError:
    return BrokerError("bad_credentials", "Wrong username or password")


def _too_many(seconds: int) -> BrokerError:
    return BrokerError("rate_limited", f"Too many wrong passwords for this name: wait {seconds} s", delay=seconds)


def digest(secret: str) -> str:
    """What is stored in place of a cookie or a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


async def _hash(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _HASHER.hash, password)


async def _matches(hashed: str | None, password: str) -> bool:
    """Takes equally long without a hash."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _verify, hashed or _NOBODY, password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerifyMismatchError:
        return False
