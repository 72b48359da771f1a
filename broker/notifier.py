"""Sends the events of projects to their ``notify_url``, but not into private networks.

A host name is resolved once for each attempt, and the address that was checked is connected to. Redirects are not
followed, and no proxy is used.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache

import orjson

from broker import __version__
from broker.errors import BrokerError
from broker.notify_url import Address, NotifyUrl, is_public, parsed
from broker.store import Store
from broker.store.notices import Notice

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Events that a process sends at once."""

_TIMEOUT = 10.0
"""Seconds for one attempt, from resolving the name to the answer."""

_LONGEST_HEAD = 64 << 10
"""Bytes of an answer that are read at most."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r?\n)")

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, as text."""


class NotSent(Exception):
    """The receiver was not reached, or did not accept the event; the text says why."""


@cache
def _tls() -> ssl.SSLContext:
    """Created once, in a thread: reading all certificates takes some hundredths of a second."""
    return ssl.create_default_context()


async def resolve(host: str, port: int) -> list[str]:
    """Asks the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for _, _, _, _, where in found]


class Notifier:
    """Sends what the store's notices have taken for this process."""

    def __init__(self, store: Store, *, private: bool, resolve: Resolve = resolve) -> None:
        """``private``: whether addresses that are not public are allowed."""
        self._store = store
        self._private = private
        self._resolve = resolve

    async def run(self) -> None:
        """Sends until it is cancelled. Events in progress are then sent again later, by any process."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        while True:
            notice = await self._store.notices.taken.get()
            try:
                await self.send(notice)
            except BrokerError as error:
                log.warning("event %s: %s", notice.id, error.message)
            except Exception:
                # It is taken again when its lease in the store ends.
                log.exception("event %s", notice.id)

    async def send(self, notice: Notice) -> None:
        """Makes one attempt, and notes the outcome."""
        if notice.tries < 0:
            log.warning("event %s (%s) could not be sent for a day, and is given up", notice.id, notice.event)
            return
        try:
            fields = (await self._store.projects.get(notice.project)).fields
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return
        if url := fields["notify_url"]:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._post(parsed(url), _body(notice), fields.get("notify_secret", ""))
            except (NotSent, OSError, ValueError, TimeoutError, EOFError) as error:
                why = "no answer in 10 s" if isinstance(error, TimeoutError) else str(error)
                log.warning("event %s (%s) was not sent, and is sent again later: %s", notice.id, notice.event, why)
                await self._store.notices.failed(notice)
                return
        await self._store.notices.sent(notice)

    async def _post(self, url: NotifyUrl, body: bytes, secret: str) -> None:
        """Raises :class:`NotSent`, or an error of the system."""
        address = await self._address(url)
        context = await asyncio.to_thread(_tls) if url.secure else None
        name = url.host if context else None
        reader, writer = await asyncio.open_connection(
            str(address), url.port, ssl=context, server_hostname=name, limit=_LONGEST_HEAD
        )
        try:
            writer.write(_head(url, body, secret) + body)
            await writer.drain()
            status = await _status(reader)
        finally:
            writer.close()
            # A peer that does not close the connection is not waited for.
            writer.transport.abort()
        if not 200 <= status < 300:
            raise NotSent(f"the receiver answered {status}")

    async def _address(self, url: NotifyUrl) -> Address:
        """The first address of the host that may be connected to."""
        found = [ipaddress.ip_address(text) for text in await self._resolve(url.host, url.port)]
        allowed = [address for address in found if self._private or is_public(address)]
        if not allowed:
            shown = ", ".join(map(str, found)) or "none"
            raise NotSent(f"{url.host} has no public address ({shown}); BROKER_NOTIFY_PRIVATE allows others")
        return allowed[0]


def _body(notice: Notice) -> bytes:
    return orjson.dumps(
        {
            "event": notice.event,
            "id": notice.id,
            "project": notice.project,
            "time": notice.time,
            "stats": notice.stats,
        }
    )


def _head(url: NotifyUrl, body: bytes, secret: str) -> bytes:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    lines = [
        f"POST {url.target} HTTP/1.1",
        f"Host: {url.authority}",
        f"User-Agent: task-broker/{__version__}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Hub-Signature-256: sha256={signature}",
        "Accept: */*",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer; interim answers (1xx) are skipped."""
    left = _LONGEST_HEAD
    while left > 0:
        try:
            head = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            break
        matched = _STATUS.match(head)
        if matched is None:
            break
        if not matched[1].startswith(b"1"):
            return int(matched[1])
        while head.strip() and left > 0:
            with contextlib.suppress(asyncio.LimitOverrunError):
                head = await reader.readuntil(b"\n")
            left -= len(head)
        left -= 1
    raise NotSent("the receiver does not speak HTTP/1.1")
