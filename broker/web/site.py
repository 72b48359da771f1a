"""The UI as one ASGI application: its routes, what every answer carries, and pages for what goes wrong."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker import __version__
from broker.errors import BrokerError
from broker.web import formats
from broker.web.static import Statics
from broker.web.trends import Trends
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
_FILTERS = (
    "number",
    "signed",
    "count",
    "size",
    "duration",
    "eta",
    "relative",
    "moment",
    "pace",
    "rate",
    "short",
    "web_link",
)


class Site:
    """What the pages of one process share."""

    def __init__(self) -> None:
        self.statics = Statics()
        self.trends = Trends()
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update({name: getattr(formats, name) for name in _FILTERS})

    def page(self, visit: Visit, template: str, status: int, values: Mapping[str, object]) -> Response:
        html = self._templates.get_template(template).render(
            {"root": visit.root, "place": visit.place, "manager": visit.manager, "version": __version__}
            | {"static": lambda name: visit.root + self.statics.url(name)}
            | {"host": visit.request.headers.get("host", "")}
            | dict(values)
        )
        # Pages hold what only this manager may see.
        return Response(html, status, {"Cache-Control": "no-store"}, "text/html")

    def part(self, template: str, **values: object) -> Markup:
        """Of a page, which is the same for everybody."""
        return Markup(self._templates.get_template(template).render({"version": __version__} | values))  # noqa: S704

    def route(self, path: str, view: View, *, public: bool = False) -> Route:
        """``public``: also for those who are not signed in."""

        async def endpoint(request: Request) -> Response:
            visit = Visit(request, self)
            try:
                if await visit.sign_in() is None and not public:
                    return visit.go_sign_in()
                return await view(visit)
            except BrokerError as error:
                return self._refused(visit, error)
            except ClientDisconnect:
                raise
            except Exception:
                log.exception("page /ui/%s", visit.place)
                return self._refused(
                    visit, BrokerError("internal", "A fault of the broker; its log has more", status=500)
                )

        return Route(path, endpoint, methods=["GET"])

    def _refused(self, visit: Visit, error: BrokerError) -> Response:
        return visit.page("error.html", error.status, error=error)

    def app(self, routes: list[BaseRoute]) -> ASGIApp:
        """Pages and files, packed, with their headers."""

        async def static(request: Request) -> Response:
            try:
                return self.statics.response(request)
            except BrokerError as error:
                return self._refused(Visit(request, self), error)

        async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
            visit = Visit(Request(scope, receive), self)
            await self._refused(visit, BrokerError("not_found", "No such page"))(scope, receive, send)

        files = Route("/static/{version}/{name}", static, methods=["GET"])
        router = Router([*routes, files], redirect_slashes=False, default=nowhere)
        return GZipMiddleware(_Headers(_Methods(router, self)), minimum_size=1024, compresslevel=6)


class _Methods:
    """Pages are read; what changes anything is a call of the API."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException as error:
            visit = Visit(Request(scope, receive), self._site)
            refusal = BrokerError("method_not_allowed", "Pages can only be read", status=error.status_code)
            response = visit.page("error.html", refusal.status, error=refusal)
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


def mount(site: Site, routes: list[BaseRoute], beside: list[BaseRoute]) -> list[BaseRoute]:
    """``routes`` below ``/ui``, those ``beside`` it where they are."""

    async def slash(request: Request) -> Response:
        return Response(status_code=303, headers={"Location": "ui/"})

    others = site.app(beside)
    return [
        Route("/ui", slash, methods=["GET"]),
        Mount("/ui", site.app(routes)),
        *(Route(route.path, others) for route in beside if isinstance(route, Route)),
    ]
