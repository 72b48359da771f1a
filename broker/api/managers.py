"""Accounts of managers, their sessions, and their roles on projects."""

from functools import partial

from broker.api import answers, auth
from broker.api.bodies import ChangePassword, CloseSessions, Credentials, SetRole
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import ANYBODY, MANAGER, PERHAPS_MANAGER, PROJECT_ID, SIGNED_IN, Example, Operation, Routes
from broker.api.values import LONGEST_PASSWORD, new_password, new_username, required
from broker.errors import BrokerError
from broker.store.managers import Proven

_LONGEST_BROWSER = 200

routes = Routes()

_EXAMPLE = {"id": 1, "username": "ada", "tracker_admin": True, "register_time": 1795469334}
_EXAMPLE_GUEST = {"id": 2, "username": "grace", "tracker_admin": False, "register_time": 1795469334}
_EXAMPLE_LOGIN = {"username": "ada", "password": "correct horse"}
_WRONG_PASSWORD = {
    "bad_credentials": "wrong name or password",
    "rate_limited": "after ten wrong passwords for this name within a minute, also for the right password; or "
    "too many logins from this address",
}
_set_admin_of = partial(
    Operation,
    group="Managers",
    who=SIGNED_IN,
    path={"id": "the manager's id"},
    refuses={"denied": "needs an admin, not a token; or the manager is the caller", "not_found": "no such manager"},
    changes=True,
    good=204,
)


async def _credentials(call: Call) -> tuple[str, str]:
    body = await call.decode(Credentials)
    return required(body.username, "username"), required(body.password, "password")


@routes.add(
    "POST /register",
    Operation(
        group="Managers",
        summary="Create an account and sign in",
        text="For everybody, while registration is open. The first account can always be created, and becomes admin. "
        "Sets the session cookie. After a lost answer, repeat the call: 409 means that the account was created; then "
        "log in.",
        who=ANYBODY,
        body=Credentials,
        content=(answers.SignedIn,),
        refuses={
            "denied": "registration is closed",
            "duplicate": "the name is taken",
            "rate_limited": "too many registrations from this address",
        },
        example=Example(path="/register", body=_EXAMPLE_LOGIN, content={"manager": _EXAMPLE}),
    ),
)
async def register(call: Call) -> Reply:
    username, password = await _credentials(call)
    new_username(username)
    new_password(password)
    auth.refuse_other_sites(call)
    everybody = call.settings.allow_registration
    register = call.store.managers.register
    return await _signed_in(call, await register(username, password, open_to_all=everybody, address=call.address))


@routes.add(
    "POST /login",
    Operation(
        group="Managers",
        summary="Sign in",
        text="Sets a new session cookie, and ends the session of the cookie that was sent. Safe to repeat.",
        who=ANYBODY,
        body=Credentials,
        content=(answers.SignedIn,),
        refuses=_WRONG_PASSWORD,
        status={"bad_credentials": 403},
        example=Example(path="/login", body=_EXAMPLE_LOGIN, content={"manager": _EXAMPLE}),
    ),
)
async def login(call: Call) -> Reply:
    username, password = await _credentials(call)
    auth.refuse_other_sites(call)
    # No account has a longer name or password; hashing and counting stay bounded.
    manager = await call.store.managers.check_password(username[:17], password[: LONGEST_PASSWORD + 1], call.address)
    return await _signed_in(call, manager)


def _browser(call: Call) -> str:
    """The start of the ``User-Agent``, without characters that cannot be printed."""
    said = call.header(b"user-agent") or ""
    return "".join(character for character in said[:_LONGEST_BROWSER] if " " <= character <= "~")


async def _signed_in(call: Call, manager: Proven) -> Reply:
    cookie = await call.store.managers.open_session(
        manager, auth.session_cookie(call), address=call.address, browser=_browser(call)
    )
    signed_in = await call.store.managers.of_session(cookie)
    content = {"manager": signed_in._asdict() if signed_in else None}
    return Reply(content, headers=_set_cookie(call, cookie, int(call.settings.session_ttl)))


@routes.add(
    "GET POST /logout",
    Operation(
        group="Managers",
        summary="Sign out",
        text="Ends the session and deletes the cookie. Safe to repeat.",
        who=ANYBODY,
        changes=True,
        example=Example(path="/logout"),
    ),
)
async def logout(call: Call) -> Reply:
    for cookie in _session_cookies(call).values():
        await call.store.managers.close_session(cookie)
    return Reply(headers=_set_cookie(call, "", 0))


def _session_cookies(call: Call) -> dict[str, str]:
    if auth.bearer_token(call) is not None:
        return {}
    return auth.sessions_in(call.header(b"cookie") or "", call.settings.cookie)


def _set_cookie(call: Call, value: str, seconds: int) -> list[tuple[str, str]]:
    """The headers that set the session cookie: over https a ``__Host-`` one, which replaces a plain one."""
    name, safe = call.settings.cookie, call.scope["scheme"] == "https"
    values = [(auth.HOST_PREFIX + name if safe else name, value, seconds)]
    if safe and name in _session_cookies(call):
        values.append((name, "", 0))
    secure = "; Secure" if safe else ""
    return [
        ("Set-Cookie", f"{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}")
        for name, value, seconds in values
    ]


@routes.add(
    "GET /account",
    Operation(
        group="Managers",
        summary="Get the account that is signed in",
        text="Or the account of the bearer token.",
        who=PERHAPS_MANAGER,
        content=(answers.Account,),
        example=Example(path="/account", content={"logged_in": True, "manager": _EXAMPLE}),
    ),
)
async def account(call: Call) -> Reply:
    manager = await auth.manager_if_any(call)
    return Reply({"logged_in": manager is not None, "manager": manager._asdict() if manager else None})


@routes.add(
    "POST /account/password",
    Operation(
        group="Managers",
        summary="Change your password",
        text="Ends all sessions of the manager, including this one, and all their tokens. After a lost answer, log in "
        "with the new password.",
        who=SIGNED_IN,
        body=ChangePassword,
        refuses=_WRONG_PASSWORD | {"bad_credentials": "`old` is wrong"},
        status={"bad_credentials": 403},
        example=Example(path="/account/password", body={"old": "correct horse", "new": "battery staple"}),
    ),
)
async def change_password(call: Call) -> Reply:
    manager = await auth.signed_in(call)
    body = await call.decode(ChangePassword)
    old, new = required(body.old, "old"), new_password(required(body.new, "new"), "new")
    managers, address = call.store.managers, call.address
    proven = await managers.check_password(manager.username, old[: LONGEST_PASSWORD + 1], address)
    await managers.set_password(proven, new, address)
    return Reply(headers=_set_cookie(call, "", 0))


@routes.add(
    "GET /account/sessions",
    Operation(
        group="Managers",
        summary="List your sessions",
        who=MANAGER,
        content=(answers.Sessions,),
        example=Example(
            path="/account/sessions",
            content={
                "sessions": [
                    {"id": f"9b2e{'0' * 56}41c7", "created": 1795469334, "ends": 1796074134, "current": True}
                    | {"address": "192.0.2.7", "browser": "Mozilla/5.0"}
                ]
            },
        ),
    ),
)
async def sessions(call: Call) -> Reply:
    manager = await auth.manager(call)
    found = await call.store.managers.sessions(manager.id, auth.session_cookie(call) or "")
    return Reply({"sessions": [session._asdict() for session in found]})


@routes.add(
    "POST /account/close_sessions",
    Operation(
        group="Managers",
        summary="End your other sessions",
        text="Ends one session, or all except the current one. A repeat answers 404, or 0.",
        who=MANAGER,
        body=CloseSessions,
        content=(answers.ClosedSessions,),
        refuses={"not_found": "the manager has no such session"},
        example=Example(path="/account/close_sessions", content={"closed": 0}),
    ),
)
async def close_sessions(call: Call) -> Reply:
    manager = await auth.manager(call)
    id = (await call.decode(CloseSessions)).session
    if id is not None:
        if not await call.store.managers.end_session(manager.id, id):
            raise BrokerError("not_found", "session: no such session")
        return Reply({"closed": 1})
    closed = 0
    while others := [
        one
        for one in await call.store.managers.sessions(manager.id, auth.session_cookie(call) or "")
        if not one.current
    ]:
        closed += sum([await call.store.managers.end_session(manager.id, one.id) for one in others])
    return Reply({"closed": closed})


@routes.add(
    "GET /manager/list",
    Operation(
        group="Managers",
        summary="List all managers",
        who=MANAGER,
        content=(answers.Managers,),
        example=Example(path="/manager/list", content={"managers": [_EXAMPLE, _EXAMPLE_GUEST]}),
    ),
)
async def list_all(call: Call) -> Reply:
    await auth.manager(call)
    return Reply({"managers": [manager._asdict() for manager in await call.store.managers.every()]})


@routes.add(
    "GET /manager/list_for_project/{id}",
    Operation(
        group="Managers",
        summary="List the managers with roles on a project",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.RoleHolders,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/manager/list_for_project/2",
            content={"managers": [{"manager": _EXAMPLE, "role": 31}, {"manager": _EXAMPLE_GUEST, "role": 3}]},
        ),
    ),
)
async def list_for_project(call: Call) -> Reply:
    await auth.manager(call)
    roles = await call.store.projects.roles(call.id("id"))
    return Reply({"managers": [{"manager": manager._asdict(), "role": role} for manager, role in roles]})


@routes.add(
    "GET POST /manager/promote/{id}",
    _set_admin_of(
        summary="Promote a manager to admin",
        text="For admins, for another manager. Takes effect at once, also in open sessions. Safe to repeat.",
        example=Example(path="/manager/promote/2"),
    ),
)
async def promote(call: Call) -> Reply:
    return await _set_admin(call, True)


@routes.add(
    "GET POST /manager/demote/{id}",
    _set_admin_of(
        summary="Demote an admin",
        text="For admins, for another admin: so one admin always remains. Takes effect at once, also in open sessions. "
        "Safe to repeat.",
        example=Example(path="/manager/demote/2"),
    ),
)
async def demote(call: Call) -> Reply:
    return await _set_admin(call, False)


async def _set_admin(call: Call, admin: bool) -> Reply:
    asking = await auth.signed_in(call)
    await call.store.managers.set_admin(asking.id, call.id("id"), admin)
    return Reply(status=204)


@routes.add(
    "POST /manager/set_role_for_project/{id}",
    Operation(
        group="Managers",
        summary="Set a manager's roles on a project",
        text="For managers with MANAGE_ACCESS. They can add and remove only roles that they have themselves. "
        "Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        body=SetRole,
        refuses={
            "denied": "needs MANAGE_ACCESS on the project, and the roles that change",
            "not_found": "no such project or manager",
        },
        example=Example(path="/manager/set_role_for_project/2", body={"manager": 2, "role": 3}),
    ),
)
async def set_role_for_project(call: Call) -> Reply:
    asking, project = await auth.manager(call), call.id("id")
    body = await call.decode(SetRole)
    manager, role = required(body.manager, "manager"), required(body.role, "role")
    await call.store.projects.set_role(asking.id, project, manager, role)
    return Reply()
