"""What is between the server and a handler: next to nothing.

Workers repeat a few calls all day, so this is ASGI itself, without Starlette's requests and responses: they would take
as long as all the rest.
"""

import logging
from collections.abc import Awaitable, Callable

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from broker.api.calls import Call, Disconnected
from broker.api.replies import Answer, fault, refused
from broker.counters import Requests
from broker.errors import BrokerError

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Answer]]


class Endpoint:
    """A handler as an ASGI application: no wrapping between it and the server.

    ``changes``: whether a GET of it changes anything, as every POST may. A call that changes something and carries the
    session cookie must not come from another site, and a GET not from a link or an image.
    """

    def __init__(self, path: str, handler: Handler, *, changes: bool = False) -> None:
        self._path = path
        self._handler = handler
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["broker.route"] = self._path
        call = Call(scope, receive)
        try:
            if b"cookie" in call.headers and (self._changes or scope["method"] == "POST") and call.session_cookie:
                call.refuse_other_sites()
                if scope["method"] == "GET":
                    call.refuse_links()
            reply: Answer = await self._handler(call)
        except BrokerError as error:
            reply = refused(error)
        except Disconnected:
            return
        except Exception:
            log.exception("%s %a", scope["method"], scope["path"])
            reply = fault()
        scope["broker.status"] = reply.status
        await reply(scope, receive, send)
        if call.undo is not None and not (reply.status == 200 and await call.client.received()):
            scope["broker.status"] = Requests.CLIENT_GONE if reply.status == 200 else reply.status
            await call.undo()


def route(methods: str, path: str, handler: Handler, *, changes: bool = False) -> Route:
    """``methods``: 'GET', 'POST' or both. HEAD is not taken for GET: it would hand a task out and throw it away."""
    made = Route(path, Endpoint(path, handler, changes=changes), methods=methods.split())
    made.methods = set(methods.split())
    return made
