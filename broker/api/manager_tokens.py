"""Tokens of managers, for programs: created, listed and revoked by a manager who has signed in."""

from broker.api import answers, auth
from broker.api.bodies import NewToken, RevokeToken
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import SIGNED_IN, Example, Operation, Routes
from broker.api.values import required
from broker.errors import BrokerError

routes = Routes()

_DAYS_90 = 90 * 86_400


@routes.add(
    "POST /account/tokens",
    Operation(
        group="Managers",
        summary="Create a token for a program",
        text="A program that sends it as `Authorization: Bearer <token>` may do what the manager may, except manage "
        "tokens, change the password, promote and demote; a cookie that comes with it is ignored. The token is shown "
        "only in this answer. A manager has 100 at most. A password change ends them all. A repeat creates another "
        "one.",
        who=SIGNED_IN,
        body=NewToken,
        content=(answers.CreatedToken,),
        refuses={"limit_reached": "the manager has 100 tokens"},
        example=Example(
            path="/account/tokens",
            body={"name": "nightly report", "expires_in": 86_400},
            content={"token": "tbm_bS1rZXktb2YtMzItcmFuZG9tLWJ5dGVzLWhlcmUtLS0", "token_id": 1},
        ),
    ),
)
async def create(call: Call) -> Reply:
    manager = await auth.signed_in(call)
    body = await call.decode(NewToken)
    name, seconds = required(body.name, "name"), body.expires_in or _DAYS_90
    cookie = auth.session_cookie(call) or ""
    token, id = await call.store.manager_tokens.create(manager.id, cookie, name, seconds)
    return Reply({"token": token, "token_id": id})


@routes.add(
    "GET /account/tokens",
    Operation(
        group="Managers",
        summary="List your tokens",
        text="Those that have not expired.",
        who=SIGNED_IN,
        content=(answers.Tokens,),
        example=Example(
            path="/account/tokens",
            content={"tokens": [{"id": 1, "name": "nightly report", "expires": 1795555734, "last_used": None}]},
        ),
    ),
)
async def list_all(call: Call) -> Reply:
    manager = await auth.signed_in(call)
    tokens = await call.store.manager_tokens.of_manager(manager.id)
    return Reply({"tokens": [token._asdict() for token in tokens]})


@routes.add(
    "POST /account/revoke_token",
    Operation(
        group="Managers",
        summary="Revoke a token",
        text="The token ends at once. A repeat answers 404.",
        who=SIGNED_IN,
        body=RevokeToken,
        refuses={"not_found": "the manager has no such token"},
        example=Example(path="/account/revoke_token", body={"token_id": 1}),
    ),
)
async def revoke(call: Call) -> Reply:
    manager = await auth.signed_in(call)
    token = required((await call.decode(RevokeToken)).token_id, "token_id")
    if not await call.store.manager_tokens.revoke(manager.id, token):
        raise BrokerError("not_found", "token_id: you have no such token")
    return Reply()
