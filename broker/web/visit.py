"""A request for a page: who asks, what they may see, and the answer."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from broker.api.auth import session_in
from broker.api.requests import parsed_id
from broker.errors import BrokerError, Unavailable
from broker.settings import Settings
from broker.store import Store
from broker.store.managers import Manager
from broker.store.projects import ROLE_NAMES, Project, Requests
from broker.web.site import Site

_LARGEST_PAGE = 1_000_000

CHOICES = 100
"""Projects in the list of a form; a search finds the others."""

FEW = 20
"""Projects up to which a form needs no search."""


class Visit:
    def __init__(self, request: Request, site: Site) -> None:
        self.site = site
        self.request = request
        self.manager: Manager | None = None
        self.requests = Requests(0, 0)
        """Shown on every page."""
        self.path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).lstrip("/")
        """Below ``/ui/``."""
        self.root = "../" * self.path.count("/") or "./" if "app_root_path" in request.scope else "ui/"
        """Leads to ``/ui/``, from a page below or beside it. Links are relative: a proxy may add a path in front."""

    @property
    def store(self) -> Store:
        """Raises ``unavailable`` until the store has answered once."""
        store: Store = self.request.app.store
        if not store.ready.is_set():
            raise Unavailable("The store is not available yet")
        return store

    @property
    def settings(self) -> Settings:
        settings: Settings = self.request.app.settings
        return settings

    @property
    def me(self) -> Manager:
        """The manager, on a page that only those who are signed in can see."""
        if self.manager is None:
            raise BrokerError("not_logged_in", "Not logged in")
        return self.manager

    @property
    def cookie(self) -> str | None:
        header = self.request.headers.get("cookie")
        return None if header is None else session_in(header, self.settings.cookie)

    async def sign_in(self) -> Manager | None:
        self.manager = await self.store.managers.of_session(self.cookie) if self.cookie else None
        if self.manager is not None:
            self.requests = await self.store.projects.requests(self.manager.id)
        return self.manager

    async def project(self, role: int = 0) -> Project:
        """The project in the path. Raises ``not_found``, or ``denied`` without ``role`` on it."""
        project = await self.store.projects.get(self.id("id"), self.me.id)
        if not project.visible:
            raise BrokerError("denied", "This project is hidden: you need the READ role on it")
        if role and not project.roles & role:
            raise BrokerError("denied", f"This page needs the {ROLE_NAMES[role]} role on the project")
        return project

    def id(self, name: str) -> int:
        id = parsed_id(self.request.path_params[name])
        if id is None:
            raise BrokerError("not_found", "No such page")
        return id

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()

    def choice(self, name: str, *words: str) -> str:
        """One of ``words``, as the query has it; the first one by default."""
        given = self.request.query_params.get(name, "")
        return given if given in words else words[0]

    def number(self, name: str, default: int) -> int:
        text = self.request.query_params.get(name, "")
        fine = text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= _LARGEST_PAGE
        return int(text) if fine else default

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        host = self.request.headers.get("host", "")
        about = {"root": self.root, "path": self.path, "manager": self.manager, "host": host, "waiting": self.requests}
        return self.site.page(template, about | values, status)

    def go(self, path: str) -> Response:
        """Redirects to a path below ``/ui/``."""
        return Response(status_code=303, headers={"Location": self.root + path})

    def go_sign_in(self) -> Response:
        query = self.request.url.query
        next = quote(f"{self.path}?{query}" if query else self.path, safe="/")
        return self.go(f"sign-in?next={next}" if next else "sign-in")


def page_count(total: int, size: int) -> int:
    """How many pages of ``size`` rows a list has: one at least."""
    return max(1, -(-total // size))
