"""Accounts of managers, their sessions, and their roles on projects."""

import msgspec

from broker.api import auth
from broker.api.endpoint import route
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.errors import BrokerError
from broker.schemas import (
    LONGEST_PASSWORD,
    ChangePassword,
    CloseSessions,
    Credentials,
    SetRole,
    new_password,
    new_username,
    required,
)
from broker.store.managers import Proven

_CREDENTIALS = msgspec.json.Decoder(Credentials | None)
_PASSWORD = msgspec.json.Decoder(ChangePassword | None)
_SESSION = msgspec.json.Decoder(CloseSessions | None)
_ROLE = msgspec.json.Decoder(SetRole | None)


async def _credentials(call: Call) -> tuple[str, str]:
    body = await call.decode(_CREDENTIALS, Credentials())
    return required(body.username, "username"), required(body.password, "password")


async def register(call: Call) -> Reply:
    username, password = await _credentials(call)
    new_username(username)
    new_password(password)
    call.refuse_other_sites()
    everybody = call.settings.allow_registration
    register = call.store.managers.register
    return await _signed_in(call, await register(username, password, open_to_all=everybody, address=call.address))


async def login(call: Call) -> Reply:
    username, password = await _credentials(call)
    call.refuse_other_sites()
    # No account has a longer name or password; hashing and counting stay bounded.
    manager = await call.store.managers.check_password(username[:17], password[: LONGEST_PASSWORD + 1], call.address)
    return await _signed_in(call, manager)


async def _signed_in(call: Call, manager: Proven) -> Reply:
    cookie = await call.store.managers.open_session(manager, call.session_cookie)
    signed_in = await call.store.managers.of_session(cookie)
    content = {"manager": signed_in.view() if signed_in else None}
    return Reply(content, headers={"Set-Cookie": _cookie(call, cookie, int(call.settings.session_ttl))})


async def logout(call: Call) -> Reply:
    cookie = call.session_cookie
    if cookie:
        await call.store.managers.close_session(cookie)
    return Reply(headers={"Set-Cookie": _cookie(call, "", 0)})


def _cookie(call: Call, value: str, seconds: int) -> str:
    secure = "; Secure" if call.scope["scheme"] == "https" else ""
    return f"{call.settings.cookie}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"


async def account(call: Call) -> Reply:
    manager = await auth.manager_if_any(call)
    return Reply({"logged_in": manager is not None, "manager": manager.view() if manager else None})


async def change_password(call: Call) -> Reply:
    """All sessions of the manager end, this one as well."""
    manager = await auth.manager(call)
    body = await call.decode(_PASSWORD, ChangePassword())
    old, new = required(body.old, "old"), new_password(required(body.new, "new"), "new")
    managers, address = call.store.managers, call.address
    proven = await managers.check_password(manager.username, old[: LONGEST_PASSWORD + 1], address)
    await managers.set_password(proven, new, address)
    return Reply(headers={"Set-Cookie": _cookie(call, "", 0)})


async def sessions(call: Call) -> Reply:
    manager = await auth.manager(call)
    found = await call.store.managers.sessions(manager.id, call.session_cookie or "")
    return Reply({"sessions": [session._asdict() for session in found]})


async def close_sessions(call: Call) -> Reply:
    """One session of the manager, or all but this one."""
    manager = await auth.manager(call)
    id = (await call.decode(_SESSION, CloseSessions())).session
    if id is not None:
        if not await call.store.managers.end_session(manager.id, id):
            raise BrokerError("not_found", "session: no such session")
        return Reply({"closed": 1})
    closed = 0
    while others := [
        one for one in await call.store.managers.sessions(manager.id, call.session_cookie or "") if not one.current
    ]:
        closed += sum([await call.store.managers.end_session(manager.id, one.id) for one in others])
    return Reply({"closed": closed})


async def list_all(call: Call) -> Reply:
    await auth.manager(call)
    return Reply({"managers": [manager.view() for manager in await call.store.managers.every()]})


async def list_for_project(call: Call) -> Reply:
    await auth.manager(call)
    roles = await call.store.projects.roles(call.id("id"))
    return Reply({"managers": [{"manager": manager.view(), "role": role} for manager, role in roles]})


async def promote(call: Call) -> Reply:
    return await _set_admin(call, True)


async def demote(call: Call) -> Reply:
    return await _set_admin(call, False)


async def _set_admin(call: Call, admin: bool) -> Reply:
    asking = await auth.manager(call)
    await call.store.managers.set_admin(asking.id, call.id("id"), admin)
    return Reply(status=204)


async def set_role_for_project(call: Call) -> Reply:
    asking, project = await auth.manager(call), call.id("id")
    body = await call.decode(_ROLE, SetRole())
    manager, role = required(body.manager, "manager"), required(body.role, "role")
    await call.store.projects.set_role(asking.id, project, manager, role)
    return Reply()


ROUTES = [
    route("POST", "/register", register),
    route("POST", "/login", login),
    route("GET POST", "/logout", logout, changes=True),
    route("GET", "/account", account),
    route("POST", "/account/password", change_password),
    route("GET", "/account/sessions", sessions),
    route("POST", "/account/close_sessions", close_sessions),
    route("GET", "/manager/list", list_all),
    route("GET", "/manager/list_for_project/{id}", list_for_project),
    route("GET POST", "/manager/promote/{id}", promote, changes=True),
    route("GET POST", "/manager/demote/{id}", demote, changes=True),
    route("POST", "/manager/set_role_for_project/{id}", set_role_for_project),
]
