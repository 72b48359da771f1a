"""Who asks: a worker by its two headers, a manager by the session cookie."""

from broker.api.requests import Call, parsed_id
from broker.errors import BrokerError
from broker.store.managers import Manager
from broker.store.projects import Project
from broker.store.workers import Worker, bad_credentials


async def worker(call: Call) -> Worker:
    """Raises ``bad_credentials`` for whatever is not the id and secret of a worker."""
    id, secret = parsed_id(call.headers.get(b"x-worker-id", b"")), call.headers.get(b"x-secret", b"")
    if id is None or not secret:
        raise bad_credentials()
    return await call.store.workers.authenticate(id, secret)


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
        raise BrokerError("denied", "Needs an admin")


async def readable(call: Call, id: int) -> Project:
    """The project, if the caller may see it: a hidden one needs READ."""
    asking = await manager_if_any(call)
    project = await call.store.projects.get(id, asking.id if asking else None)
    if not project.visible:
        if asking is None:
            raise BrokerError("not_logged_in", "Not logged in: the project is hidden")
        raise BrokerError("denied", "Needs the READ role on the project: it is hidden")
    return project


async def authorized(call: Call, role: int) -> int:
    """The project in the path, if the manager who asks holds ``role`` there."""
    asking, project = await manager(call), call.id("id")
    await call.store.projects.authorize(asking.id, project, role)
    return project
