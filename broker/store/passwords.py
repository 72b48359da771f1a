"""Hashes passwords: in a thread, one at a time, and none of those who wait takes the turn of all others."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from broker.errors import BrokerError

WAITING = 16
"""Calls of one address that may wait for their turn: the others wait for 0.3 s of its hashes at most."""

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. About 20 ms.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified in place of an unknown manager's, so that the time tells nothing.
_NOBODY = _HASHER.hash(secrets.token_hex(16))


# Of its own: what others do in threads, such as checking a large webhook, holds no login up.
_THREAD = ThreadPoolExecutor(1, "passwords")


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


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _HASHER.hash, password)


async def matches(hashed: str | None, password: str) -> bool:
    """Takes as long when nobody has a hash."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _verify, hashed or _NOBODY, password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerifyMismatchError:
        return False
