"""The two transports, which send the attempts of a call over httpx: one blocks, the other is awaited."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache, wraps
from inspect import signature
from ipaddress import ip_address
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, get_args, overload

import httpx

from broker.client.calls import Answer, Attempt, Lost, Steps
from broker.client.types import ClientError

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", httpx.Client, httpx.AsyncClient)

TRUST_ENV = "TASK_BROKER_TRUST_ENV"
"""With yes, the variables below are used, except for a broker on this machine."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_LIMITS = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=30)
"""Idle connections are closed after 30 s: the broker closes them after 75 s, common proxies after 60 s."""

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOST = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
)
"""Errors that may pass. All other errors of httpx are the caller's."""

_CODES = re.compile(r"^\[(?:Errno -?\d+|SSL: \w+)\] | \(_ssl\.c:\d+\)$")
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE")
"""What OpenSSL says of an answer that is not TLS."""


class BlockingTransport:
    """Sends with an ``httpx.Client``. Threads may share it."""

    def __init__(self, url: str, timeout: float, http: httpx.Client | None) -> None:
        self._url, self._timeout = url, timeout
        self._http = http or _opened(httpx.Client, url)
        self._owned = http is None

    def _send(self, steps: Steps[T]) -> T:
        try:
            attempt = next(steps)
            while True:
                time.sleep(attempt.pause)
                try:
                    response = self._http.send(_request(self._http, self._url, self._timeout, attempt))
                    outcome: Answer | Lost = _answer(response)
                except _LOST as error:
                    outcome = _lost(error)
                attempt = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        if self._owned:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransport:
    """Sends with an ``httpx.AsyncClient``. The tasks of one event loop may share it."""

    def __init__(self, url: str, timeout: float, http: httpx.AsyncClient | None) -> None:
        self._url, self._timeout = url, timeout
        self._http = http or _opened(httpx.AsyncClient, url)
        self._owned = http is None

    async def _send(self, steps: Steps[T]) -> T:
        try:
            attempt = next(steps)
            while True:
                await asyncio.sleep(attempt.pause)
                try:
                    response = await self._http.send(_request(self._http, self._url, self._timeout, attempt))
                    outcome: Answer | Lost = _answer(response)
                except _LOST as error:
                    outcome = _lost(error)
                attempt = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def close(self) -> None:
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _request(http: httpx.Client | httpx.AsyncClient, url: str, timeout: float, attempt: Attempt) -> httpx.Request:
    times = httpx.Timeout(timeout, read=timeout + attempt.wait)
    return http.build_request(
        attempt.method, _parsed(url + attempt.path), content=attempt.body, headers=attempt.headers, timeout=times
    )


_parsed = lru_cache(maxsize=100)(httpx.URL)


def _answer(response: httpx.Response) -> Answer:
    seconds = response.headers.get("Retry-After", "")
    return Answer(response.status_code, response.content, float(seconds) if seconds.isdecimal() else 0)


def _lost(error: httpx.RequestError) -> Lost:
    if _NO_TLS.search(str(error)):
        why = "there is no TLS on this port: perhaps the URL has to begin with http://"
    else:
        why = _CODES.sub("", str(error)) or type(error).__name__
    return Lost(why, sent=not isinstance(error, _UNSENT))


class method(Generic[P, T]):
    """Makes a generator of attempts a method of both clients: blocking in ``Client``, awaited in ``AsyncClient``.

    On another class it is the generator function: ``Calls.submit(client, 1, "recipe")`` sends nothing.
    """

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._steps = steps

        @wraps(steps)
        def blocking(client: BlockingTransport, *args: P.args, **kwargs: P.kwargs) -> T:
            return client._send(steps(client, *args, **kwargs))

        @wraps(steps)
        async def awaited(client: AsyncTransport, *args: P.args, **kwargs: P.kwargs) -> T:
            return await client._send(steps(client, *args, **kwargs))

        # What help() shows: the result of the call, and not how it is made.
        given = signature(steps)
        *_, result = get_args(given.return_annotation)
        for call in (blocking, awaited):
            call.__signature__ = given.replace(return_annotation=result)  # type: ignore[union-attr]
            call.__annotations__ = {**steps.__annotations__, "return": result}
        self._blocking, self._awaited = blocking, awaited

    @overload
    def __get__(self, client: BlockingTransport, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type[BlockingTransport]) -> Callable[Concatenate[Any, P], T]: ...
    @overload
    def __get__(
        self, client: None, owner: type[AsyncTransport]
    ) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Steps[T]]: ...
    def __get__(self, client: object, owner: type) -> Callable[..., Any]:
        call: Callable[..., Any] = self._steps
        if issubclass(owner, BlockingTransport):
            call = self._blocking
        elif issubclass(owner, AsyncTransport):
            call = self._awaited
        return call if client is None else MethodType(call, client)


def _opened(kind: Callable[..., H], url: str) -> H:
    """A client of httpx for the broker at ``url``."""
    # Certificates are loaded for https only: it is the slowest part of a start.
    options: dict[str, Any] = {"limits": _LIMITS, "verify": False}
    if url.startswith("https:"):
        options["verify"] = httpx.create_ssl_context()
    if not _trusted() or _is_local(httpx.URL(url).host):
        return kind(trust_env=False, **options)
    try:
        return kind(trust_env=True, **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        given = [name for name in _PROXIES for name in (name, name.lower()) if os.environ.get(name)]
        raise ClientError(
            f"the proxy of {', '.join(given)} cannot be used: {error}. Correct it, or unset {TRUST_ENV} for no proxy"
        ) from None


def _trusted() -> bool:
    text = os.environ.get(TRUST_ENV, "").lower()
    if text not in _YES | _NO:
        raise ClientError(f"{TRUST_ENV}: {text!r} is not yes or no")
    return text in _YES


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
