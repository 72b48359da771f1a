"""Who asks: a worker by its two headers, a manager by a bearer token or the session cookie.

Refuses calls that another site made a browser send.
"""

import re

from broker.api.requests import Call, parsed_id
from broker.errors import BrokerError
from broker.store.managers import Manager
from broker.store.projects import Project
from broker.store.workers import Worker, bad_credentials

HOST_PREFIX = "__Host-"
"""A prefix of a cookie's name: browsers accept it only over https, and not from another host or a subdomain."""

URL = re.compile(
    r"(?P<scheme>https?)://(?P<name>\[[0-9a-f:.]+\]|[^\s/\\?#@:\[\]]+)(?::(?P<port>\d*))?(?:[/?#]|\Z)",
    re.ASCII | re.IGNORECASE,
)
HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>\d+))?", re.ASCII | re.IGNORECASE)
"""The value of a Host header."""

_PORTS = {"http": "80", "https": "443"}
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def worker(call: Call) -> Worker:
    """The worker who asks. Raises ``bad_credentials`` unless the headers are the id and secret of a worker."""
    id, secret = parsed_id(call.headers.get(b"x-worker-id", b"")), call.headers.get(b"x-secret", b"")
    if id is None or not secret:
        raise bad_credentials()
    store = call.store
    found = await store.workers.authenticate(id, secret)
    store.presence.note(id, call.headers.get(b"x-worker-info"))
    return found


async def worker_if_any(call: Call) -> Worker | None:
    """As :func:`worker`, but None instead of ``bad_credentials``."""
    try:
        return await worker(call)
    except BrokerError as error:
        if error.code != "bad_credentials":
            raise
        return None


async def manager(call: Call) -> Manager:
    """The manager who asks. Raises ``not_logged_in``."""
    found = await manager_if_any(call)
    if found is None:
        raise BrokerError("not_logged_in", "Not logged in")
    return found


async def signed_in(call: Call) -> Manager:
    """The manager of the session cookie. Raises ``not_logged_in``, and ``denied`` for a token."""
    found = await manager(call)
    if bearer_token(call) is not None:
        raise BrokerError("denied", "A token may not do this: sign in")
    return found


async def manager_if_any(call: Call) -> Manager | None:
    """The manager who asks, if any. Raises ``not_logged_in`` for a token that is wrong or has expired."""
    token = bearer_token(call)
    if token is not None:
        found = await call.store.manager_tokens.manager_of(token)
        if found is None:
            raise BrokerError("not_logged_in", "authorization: this token is unknown, revoked or expired")
        return found
    cookie = session_cookie(call)
    return await call.store.managers.of_session(cookie) if cookie else None


def admin(of: Manager) -> None:
    if not of.tracker_admin:
        raise BrokerError("denied", "Needs an admin")


async def readable(call: Call, id: int, *, workers: bool = False) -> Project:
    """The project, if the caller may see it: a hidden one needs READ or, with ``workers``, a worker with access."""
    asking = await manager_if_any(call)
    project = await call.store.projects.get(id, asking.id if asking else None)
    is_workers = workers and b"x-worker-id" in call.headers
    if not project.visible and not (is_workers and await has_access(call, id)):
        if asking is None:
            raise BrokerError("not_logged_in", "Not logged in: the project is hidden")
        raise BrokerError("denied", "Needs the READ role on the project: it is hidden")
    return project


async def has_access(call: Call, project: int) -> bool:
    """Whether the worker who asks was granted any access to the project."""
    asking = await worker(call)
    return bool(await call.store.workers.access(project, asking.id))


async def authorized(call: Call, role: int) -> int:
    """The project in the path, if the manager who asks holds ``role`` there."""
    asking, project = await manager(call), call.id("id")
    await call.store.projects.authorize(asking.id, project, role)
    return project


def is_workers_call(call: Call) -> bool:
    """Whether a call that workers and managers may make is a worker's. An ``X-Worker-ID`` that cannot be an id is
    ignored.
    """
    is_managers = bearer_token(call) is not None or session_cookie(call) is not None
    return not is_managers or parsed_id(call.headers.get(b"x-worker-id", b"")) is not None


def bearer_token(call: Call) -> str | None:
    """The token of the Authorization header. Other schemes are meant for a proxy, and are ignored."""
    scheme, _, token = call.headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def session_cookie(call: Call) -> str | None:
    """The session cookie; None if there is a bearer token, which takes precedence."""
    if bearer_token(call) is not None:
        return None
    header = call.header(b"cookie")
    return None if header is None else session_in(header, call.settings.cookie)


def session_in(header: str, name: str) -> str | None:
    """The first of :func:`sessions_in`."""
    return next(iter(sessions_in(header, name).values()), None)


def sessions_in(header: str, name: str) -> dict[str, str]:
    """The cookies that may be sessions of this broker, by name: ``__Host-name`` before ``name``. If a name is repeated,
    the first one counts.

    Python's own parser takes minutes for some hostile cookies.
    """
    found: dict[str, str] = {}
    for pair in header.split(";"):
        given, _, value = pair.strip().partition("=")
        if given.removeprefix(HOST_PREFIX) == name and given not in found and _SESSION.fullmatch(value):
            found[given] = value
    return dict(sorted(found.items(), key=lambda cookie: not cookie[0].startswith(HOST_PREFIX)))


def refuse_other_sites(call: Call) -> None:
    """Raises ``cross_site`` when a browser says that another site made it send this call.

    A call without Sec-Fetch-Site and Origin comes from a program, which sends a cookie only on purpose. A bearer token
    is sent on purpose, too: no browser adds one by itself.
    """
    if bearer_token(call) is not None:
        return
    site, origin = call.header(b"sec-fetch-site"), call.header(b"origin")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        allowed = origin is None or _is_own(origin, call.header(b"host") or "")
    if not allowed:
        raise BrokerError("cross_site", "This call comes from another site")


def refuse_links(call: Call) -> None:
    """Raises ``cross_site`` for a call that a browser sends because of a link or an image on any page.

    Browsers send Sec-Fetch-* only over https and to localhost. Without it, the Referer decides.
    """
    if not call.headers.get(b"user-agent", b"").startswith(b"Mozilla/"):
        return
    site, mode = call.header(b"sec-fetch-site"), call.header(b"sec-fetch-mode")
    if site is not None or mode is not None:
        allowed = site == "same-origin" and mode in {"cors", "same-origin"}
    else:
        allowed = _is_own(call.header(b"referer") or "", call.header(b"host") or "")
    if not allowed:
        raise BrokerError("cross_site", "A browser may change this only from a page of this host; or use POST")


def _is_own(url: str, host: str) -> bool:
    """Whether a URL or origin that a browser sent names the host of the call's Host header.

    Host names are compared, and ports only if Host has one: a proxy may remove it.
    """
    given, asked = URL.match(url), HOST.fullmatch(host)
    if given is None or asked is None or given["name"].lower() != asked["name"].lower():
        return False
    default = _PORTS[given["scheme"].lower()]
    return asked["port"] is None or (given["port"] or default) == asked["port"]
