"""Calls to the broker's HTTP API, as patient as a crawler should be."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from broker.demo.errors import DemoError

_PAUSE = 0.2  # seconds before a call whose connection was lost is repeated
_PATIENCE = 10.0  # seconds for which nothing but lost connections is borne


class Refused(DemoError):
    """The broker said no."""

    def __init__(self, call: str, status: int, message: str) -> None:
        super().__init__(f"the broker refused {call} with {status}: {message or 'no message'}")
        self.status = status


class Envelope(msgspec.Struct):
    ok: bool
    message: str | None = None
    content: dict[str, Any] = {}
    rate_limit_delay: float | None = None

    def field(self, name: str) -> Any:
        if name not in self.content:
            raise DemoError(f"an answer of the broker lacks content.{name}")
        return self.content[name]


class Client:
    """One connection pool to the broker. Cookies stay with it: a manager needs a client of his own.

    A call that is told to come later (429, 503) waits as long as it is told, and a call whose connection was lost is
    repeated. That is safe for all that the demo calls: a task that was assigned without anybody knowing comes back
    when its time is over. ``lost`` counts lost connections and 503, which both may hide that the call was carried out.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.calls = 0
        self.lost = 0
        self._http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, transport=transport)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Envelope:
        return await self._call("GET", path, None, headers)

    async def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Envelope:
        return await self._call("POST", path, msgspec.json.encode(body), headers)

    async def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None) -> Envelope:
        while True:
            response = await self._send(method, path, body, headers)
            try:
                envelope = msgspec.json.decode(response.content, type=Envelope)
            except msgspec.DecodeError:
                raise DemoError(f"{method} {path} answered {response.status_code} without an envelope") from None
            self.lost += response.status_code == 503
            if response.status_code in (429, 503):
                await asyncio.sleep(envelope.rate_limit_delay or float(response.headers.get("Retry-After", 1)))
            elif response.status_code >= 400:
                raise Refused(f"{method} {path}", response.status_code, envelope.message or "")
            else:
                return envelope

    async def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> httpx.Response:
        give_up = time.monotonic() + _PATIENCE
        while True:
            self.calls += 1
            try:
                return await self._http.request(method, path, content=body, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() > give_up:
                    raise DemoError(f"the broker at {self._http.base_url} does not answer any more") from error
                self.lost += 1
                await asyncio.sleep(_PAUSE)
