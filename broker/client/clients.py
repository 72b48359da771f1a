"""The two clients: the same methods, blocking and awaited."""

import httpx

from broker.client.credentials import Credentials
from broker.client.managers import ManagerCalls
from broker.client.tasks import TaskCalls
from broker.client.transport import AsyncTransport, BlockingTransport
from broker.client.workers import WorkerCalls


class Calls(TaskCalls, WorkerCalls, ManagerCalls):
    """All methods of the clients."""


class Client(Calls, BlockingTransport):
    """Calls a broker, and returns when it has answered. Threads may share it.

    ``worker``: whose calls these are; :meth:`identify` sets it from a file. ``patience``: seconds for which a broker
    that does not answer is asked again, where that is safe; then ``Unreachable`` is raised. ``timeout``: seconds for an
    answer. ``http``: a client of one's own, with proxies or certificates; it is not closed with this one.
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
    """As :class:`Client`, to be awaited. The tasks of one event loop may share it."""

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
    """Without a slash at its end."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65_535:
        raise ValueError(f"{url!r} is no address of a broker: http://host:port")
    return url.rstrip("/")
