"""What the client takes from the environment: certificates always, a proxy only when it is told to."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, TypeVar

import httpx

from broker.client.errors import ClientError

TRUST_ENV = "TASK_BROKER_TRUST_ENV"
"""Set to yes, the variables below count, except for a broker on this machine."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_LIMITS = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=30)
"""An idle connection is kept for 30 s: less than the 75 s of the broker, and the 60 s of the usual proxies."""

H = TypeVar("H", httpx.Client, httpx.AsyncClient)


def opened(kind: Callable[..., H], url: str) -> H:
    """A client of httpx for the broker at ``url``. Raises :class:`ClientError` when the variables cannot be used."""
    # Certificates are loaded for https only: that takes longer than all else at the start.
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
