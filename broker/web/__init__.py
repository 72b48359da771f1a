"""The web UI at ``/ui/``: pages for managers. They show what the API tells them, and change things through it."""

from starlette.routing import BaseRoute

from broker.web import routing
from broker.web.site import Site
from broker.web.static import chart_library
from broker.web.views import access, accounts, console, docs, logs, overview, projects, tasks, workers

__all__ = ["ROUTE", "chart_library", "routes"]

ROUTE = "/ui"
"""Where the pages are."""

_VIEWS = (overview, accounts, projects, tasks, access, workers, logs, console)


def routes() -> list[BaseRoute]:
    """Raises :class:`StartError` when a file of the UI is missing."""
    return routing.routes(Site(), [page for view in _VIEWS for page in view.pages], list(docs.pages))
