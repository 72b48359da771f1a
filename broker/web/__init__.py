"""The web UI at ``/ui/``: pages for managers. They show what the API tells them, and change things through it."""

from starlette.routing import BaseRoute

from broker.web import site
from broker.web.static import chart_library
from broker.web.views import access, accounts, console, docs, logs, overview, projects, tasks, workers

__all__ = ["ROUTE", "chart_library", "routes"]

ROUTE = "/ui"
"""Where the pages are."""

_VIEWS = (overview, accounts, projects, tasks, access, workers, logs, console)


def routes() -> list[BaseRoute]:
    """Raises :class:`StartError` when a file of the UI is missing."""
    pages = site.Site()
    made: list[BaseRoute] = []
    for view in _VIEWS:
        made += view.routes(pages)
    return site.mount(pages, made, docs.routes(pages))
