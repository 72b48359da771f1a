"""The web UI at ``/ui/``: pages for managers. They show what the API tells them, and change things through it."""

from starlette.routing import BaseRoute

from broker.web import accounts, docs, logs, overview, projects, routing, tasks, workers
from broker.web.site import Site
from broker.web.static_files import chart_library

__all__ = ["ROUTE", "chart_library", "routes"]

ROUTE = "/ui"
"""Where the pages are."""

_VIEWS = (overview, accounts, projects, tasks, workers, logs)


def routes() -> list[BaseRoute]:
    """Raises :class:`StartError` when a file of the UI is missing."""
    return routing.routes(Site(), [page for view in _VIEWS for page in view.pages], list(docs.pages))
