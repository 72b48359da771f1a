"""The calls on the accounts of managers, their sessions, and their roles."""

from broker import schemas
from broker.openapi import contents
from broker.openapi.entry import ANYBODY, MANAGER, Entry, Example
from broker.openapi.samples import GUEST
from broker.openapi.samples import MANAGER as ADA

_LOGIN = {"username": "ada", "password": "correct horse"}
_ID = {"id": "the manager's id"}
_PROJECT = {"id": "the project's id"}
_ADMIN = {"denied": "no admin; or it is he himself", "not_found": "no such manager"}
_WRONG = {
    "bad_credentials": "wrong name or password",
    "rate_limited": "from the tenth wrong password for this name within a minute on, for the right one too; or "
    "too many from this address",
}

ENTRIES = {
    "POST /register": Entry(
        summary="Make an account, and sign in",
        text="By anybody, while registration is open. The first account always, and it becomes admin. Sets the session "
        "cookie. After a lost answer: a repeat gives 409 when it was done; then log in.",
        who=ANYBODY,
        body=schemas.Credentials,
        content=(contents.SignedIn,),
        refuses={
            "denied": "registration is off",
            "duplicate": "the name is taken",
            "rate_limited": "too many from this address",
        },
        example=Example(path="/register", body=_LOGIN, content={"manager": ADA}),
    ),
    "POST /login": Entry(
        summary="Sign in",
        text="Sets a fresh session cookie, and ends the session of the one that was sent along. Safe to repeat.",
        who=ANYBODY,
        body=schemas.Credentials,
        content=(contents.SignedIn,),
        refuses=_WRONG,
        status={"bad_credentials": 403},
        example=Example(path="/login", body=_LOGIN, content={"manager": ADA}),
    ),
    "GET POST /logout": Entry(
        summary="Sign out",
        text="Ends the session of the cookie, and clears it. Safe to repeat.",
        who=ANYBODY,
        changes=True,
        example=Example(path="/logout"),
    ),
    "GET /account": Entry(
        summary="Who is signed in",
        who=ANYBODY,
        content=(contents.Account,),
        example=Example(path="/account", content={"logged_in": True, "manager": ADA}),
    ),
    "POST /account/password": Entry(
        summary="Change one's password",
        text="All sessions of the manager end, this one too. After a lost answer: log in.",
        who=MANAGER,
        body=schemas.ChangePassword,
        refuses=_WRONG | {"bad_credentials": "`old` is wrong"},
        status={"bad_credentials": 403},
        example=Example(path="/account/password", body={"old": "correct horse", "new": "battery staple"}),
    ),
    "GET /account/sessions": Entry(
        summary="List one's sessions",
        who=MANAGER,
        content=(contents.Sessions,),
        example=Example(
            path="/account/sessions",
            content={
                "sessions": [{"id": f"9b2e{'0' * 56}41c7", "created": 1795469334, "ends": 1796074134, "current": True}]
            },
        ),
    ),
    "POST /account/close_sessions": Entry(
        summary="End one's other sessions",
        text="One of them, or all but the one that asks. Repeat: 404, or 0, when it was done.",
        who=MANAGER,
        body=schemas.CloseSessions,
        content=(contents.ClosedSessions,),
        refuses={"not_found": "he has no such session"},
        example=Example(path="/account/close_sessions", content={"closed": 0}),
    ),
    "GET /manager/list": Entry(
        summary="List all managers",
        who=MANAGER,
        content=(contents.Managers,),
        example=Example(path="/manager/list", content={"managers": [ADA, GUEST]}),
    ),
    "GET /manager/list_for_project/{id}": Entry(
        summary="List who has roles on a project",
        who=MANAGER,
        path=_PROJECT,
        content=(contents.RoleHolders,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/manager/list_for_project/2",
            content={"managers": [{"manager": ADA, "role": 31}, {"manager": GUEST, "role": 3}]},
        ),
    ),
    "GET POST /manager/promote/{id}": Entry(
        summary="Make a manager admin",
        text="By an admin, of another manager. Holds at once, in open sessions too. Safe to repeat.",
        who=MANAGER,
        path=_ID,
        refuses=_ADMIN,
        changes=True,
        good=204,
        example=Example(path="/manager/promote/2"),
    ),
    "GET POST /manager/demote/{id}": Entry(
        summary="Make an admin a manager like others",
        text="By an admin, of another: one always stays. Holds at once, in open sessions too. Safe to repeat.",
        who=MANAGER,
        path=_ID,
        refuses=_ADMIN,
        changes=True,
        good=204,
        example=Example(path="/manager/demote/2"),
    ),
    "POST /manager/set_role_for_project/{id}": Entry(
        summary="Set a manager's roles on a project",
        text="By a manager with MANAGE_ACCESS; only bits that he holds himself can be added or removed. "
        "Safe to repeat.",
        who=MANAGER,
        path=_PROJECT,
        body=schemas.SetRole,
        refuses={
            "denied": "needs MANAGE_ACCESS on the project, and the bits that change",
            "not_found": "no such project or manager",
        },
        example=Example(path="/manager/set_role_for_project/2", body={"manager": 2, "role": 3}),
    ),
}
