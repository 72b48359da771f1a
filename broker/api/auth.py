"""Who asks: a worker by its two headers, a manager by the session cookie."""

import re

from broker.api.envelope import LARGEST_ID, Call
from broker.errors import BrokerError
from broker.store.managers import Manager
from broker.store.workers import Worker, bad_credentials

_ID = re.compile(r"[0-9]{1,16}")


async def worker(call: Call, status: int = 401) -> Worker:
    """Raises ``bad_credentials`` with this status for whatever is not the id and secret of a worker."""
    id, secret = call.headers.get("x-worker-id", ""), call.headers.get("x-secret", "")
    try:
        if not _ID.fullmatch(id) or not 1 <= int(id) <= LARGEST_ID or not secret:
            raise bad_credentials()
        return await call.store.workers.authenticate(int(id), secret)
    except BrokerError as error:
        if error.code == "bad_credentials":
            error.status = status
        raise


async def manager(call: Call, *, changes: bool | None = None) -> Manager:
    """The manager who is signed in. Raises ``not_logged_in``, or ``cross_site`` when another site sends the call.

    ``changes``: whether the call changes anything; by default every method but GET and HEAD does.
    """
    found = await manager_if_any(call, changes=changes)
    if found is None:
        raise BrokerError("not_logged_in", "Not logged in")
    return found


async def manager_if_any(call: Call, *, changes: bool | None = None) -> Manager | None:
    cookie = session_cookie(call)
    if cookie is None:
        return None
    if changes or (changes is None and call.method not in {"GET", "HEAD"}):
        same_site(call)
    return await call.store.managers.of_session(cookie)


def session_cookie(call: Call) -> str | None:
    return call.cookies.get(call.settings.cookie) or None


def same_site(call: Call) -> None:
    """Raises ``cross_site`` when a browser says that another site made it send this call.

    What is neither said by Sec-Fetch-Site nor by Origin comes from no browser, and carries no cookie unawares.
    """
    site, origin = call.headers.get("sec-fetch-site"), call.headers.get("origin")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        allowed = origin is None or origin.partition("://")[2] == call.headers.get("host", "")
    if not allowed:
        raise BrokerError("cross_site", "This call comes from another site")


def admin(of: Manager) -> None:
    if not of.tracker_admin:
        raise BrokerError("denied", "Needs a tracker admin")
