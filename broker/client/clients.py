"""The two clients have the same methods: ``Client`` blocks, ``AsyncClient`` is awaited."""

import httpx

from broker.client.credentials import Credentials
from broker.client.managers import ManagerCalls
from broker.client.tasks import TaskCalls
from broker.client.transport import AsyncTransport, BlockingTransport
from broker.client.workers import WorkerCalls


class Calls(TaskCalls, WorkerCalls, ManagerCalls):
    """All methods of the clients."""


class Client(Calls, BlockingTransport):
    """Calls a broker and returns its answer. Threads may share it.

    ``worker``: who makes the calls; :meth:`identify` reads it from a file. ``patience``: seconds for which a call
    without an answer is repeated, where that is safe, before it raises ``Unreachable``. ``timeout``: seconds for an
    answer. ``http``: your own client, with proxies or certificates; you close it.
    """

    def __init__(
        self,
        url: str,
        worker: Credentials | None = None,
        *,
        patience: float = 60,
        timeout: float = 30,
        http: httpx.Client | None = None,
    ) -> None:
        Calls.__init__(self, _checked(url), worker, patience)
        BlockingTransport.__init__(self, self.url, timeout, http)


class AsyncClient(Calls, AsyncTransport):
    """As :class:`Client`, but its methods are awaited. The tasks of one event loop may share it."""

    def __init__(
        self,
        url: str,
        worker: Credentials | None = None,
        *,
        patience: float = 60,
        timeout: float = 30,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        Calls.__init__(self, _checked(url), worker, patience)
        AsyncTransport.__init__(self, self.url, timeout, http)


def _checked(url: str) -> str:
    """The URL without a slash at its end."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65_535:
        raise ValueError(f"{url!r} is no address of a broker: http://host:port")
    return url.rstrip("/")
