"""What the processes agree on: the key layout, and who does a periodic job."""

from broker.store.redis.keys import LAYOUT, Keys
from broker.store.redis.scripts import Calls


class Directory:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def layout(self) -> tuple[int, bool]:
        """The key layout of the data, written down if there was none, and whether anybody has an account."""
        layout, accounts = await self._calls.call("layout", self._keys.directory, [LAYOUT])
        return layout, bool(accounts)

    async def claim(self, job: str, milliseconds: int) -> bool:
        """Whether this process shall do ``job``, for that long. It only saves work: a job is safe to do twice."""
        return bool(await self._calls.call("claim", self._keys.directory, [job, milliseconds]))
