"""The UI as one ASGI application: pages, static files, common headers, and error pages."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.api.responses import STATUS
from broker.errors import BrokerError
from broker.web.site import Rendered, Site
from broker.web.visit import Visit

log = logging.getLogger(__name__)

View = Callable[[Visit], Awaitable[Response]]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class Page(NamedTuple):
    path: str
    view: View
    public: bool
    """Also for people who are not signed in."""


class Pages:
    """The pages of a module, each added where its view is defined."""

    def __init__(self) -> None:
        self._pages: list[Page] = []

    def add(self, path: str, *, public: bool = False) -> Callable[[View], View]:
        def added(view: View) -> View:
            self._pages.append(Page(path, view, public))
            return view

        return added

    def __iter__(self) -> Iterator[Page]:
        return iter(self._pages)


def routes(site: Site, pages: list[Page], beside: list[Page]) -> list[BaseRoute]:
    """``pages`` below ``/ui``, those ``beside`` it where they are."""

    async def slash(request: Request) -> Response:
        return Response(status_code=303, headers={"Location": "ui/"})

    others = _app(site, beside)
    return [
        Route("/ui", slash, methods=["GET"]),
        Mount("/ui", _app(site, pages)),
        *(Route(page.path, others) for page in beside),
    ]


def _app(site: Site, pages: list[Page]) -> ASGIApp:
    """Pages and static files, compressed, with common headers."""

    async def static(request: Request) -> Response:
        try:
            return site.statics.response(request)
        except BrokerError as error:
            return _refused(Visit(request, site), error)

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(Request(scope, receive), site)
        await _refused(visit, BrokerError("not_found", "No such page"))(scope, receive, send)

    files = Route("/static/{version}/{name}", static, methods=["GET"])
    router = Router([*(_route(site, page) for page in pages), files], redirect_slashes=False, default=nowhere)
    return GZipMiddleware(_Headers(_Methods(router, site)), minimum_size=1024, compresslevel=6)


def _route(site: Site, page: Page) -> Route:
    async def endpoint(request: Request) -> Response:
        visit = Visit(request, site)
        try:
            if await visit.sign_in() is None and not page.public:
                return visit.go_sign_in()
            response = await page.view(visit)
            if isinstance(response, Rendered):
                # Here, so that a fault in it is answered.
                await response.render_all()
            return response
        except BrokerError as error:
            return _refused(visit, error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("page /ui/%s", visit.path)
            return _refused(visit, BrokerError("internal", "A bug in the broker; see its log"))

    return Route(page.path, endpoint, methods=["GET"])


def _refused(visit: Visit, error: BrokerError) -> Response:
    return visit.page("error.html", STATUS[error.code], error=error)


class _Methods:
    """Answers 405 for other methods than GET: changes are calls of the API."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException:
            visit = Visit(Request(scope, receive), self._site)
            response = _refused(visit, BrokerError("method_not_allowed", "Pages can only be read"))
            response.headers["Allow"] = "GET, HEAD"
            await response(scope, receive, send)


class _Headers:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = _HEADERS | (_HTTPS_ONLY if scope["scheme"] == "https" else {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(wanted)
            await send(message)

        await self._app(scope, receive, with_headers)
