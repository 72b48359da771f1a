"""The web UI at ``/ui/``: pages for managers, which change things through the API.

Also the reference of the HTTP API at ``/docs``, for everybody.
"""

from functools import lru_cache

from markupsafe import Markup
from starlette.responses import Response
from starlette.routing import BaseRoute

from broker.api.requests import App
from broker.openapi.reference import reference
from broker.web import accounts, groups, logs, overview, projects, routing, tasks, worker, workers
from broker.web.routing import Pages
from broker.web.site import Site
from broker.web.visit import Visit

ROUTE = "/ui"
"""Where the pages are."""

_beside = Pages()


def routes() -> list[BaseRoute]:
    """Raises :class:`StartError` when a file of the UI is missing."""
    views = (accounts, overview, projects, tasks, groups, workers, worker, logs)
    pages = [page for view in views for page in view.pages]
    return routing.routes(Site(), pages, list(_beside))


@_beside.add("/docs", public=True)
async def docs(visit: Visit) -> Response:
    return visit.page("docs.html", calls=_calls(visit.site, visit.request.app, visit.root))


@lru_cache(maxsize=1)
def _calls(site: Site, app: App, root: str) -> Markup:
    """Rendered once: it is long, and the same for everybody."""
    return site.part("reference.html", root=root, reference=reference(app.description.document))
