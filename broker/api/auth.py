"""Who asks: a worker by its two headers, a manager by the session cookie."""

import re

from broker.api.envelope import LARGEST_ID, Call
from broker.errors import BrokerError
from broker.store.managers import Manager
from broker.store.worker_records import Worker
from broker.store.workers import bad_credentials

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


async def manager(call: Call) -> Manager:
    """The manager who is signed in. Raises ``not_logged_in``."""
    found = await manager_if_any(call)
    if found is None:
        raise BrokerError("not_logged_in", "Not logged in")
    return found


async def manager_if_any(call: Call) -> Manager | None:
    cookie = call.session_cookie
    return await call.store.managers.of_session(cookie) if cookie else None


def admin(of: Manager) -> None:
    if not of.tracker_admin:
        raise BrokerError("denied", "Needs a tracker admin")
