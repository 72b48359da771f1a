"""The reference of the HTTP API, for everybody; its page is ``/docs``."""

from functools import lru_cache

from markupsafe import Markup
from starlette.responses import Response

from broker.api.requests import App
from broker.openapi.reference import reference
from broker.web.routing import Pages
from broker.web.site import Site
from broker.web.visit import Visit

pages = Pages()


@lru_cache(maxsize=1)
def _calls(site: Site, app: App, root: str) -> Markup:
    """Rendered once: it is long, and the same for everybody."""
    return site.part("reference.html", root=root, reference=reference(app.description.document))


@pages.add("/docs", public=True)
async def docs(visit: Visit) -> Response:
    return visit.page("docs.html", calls=_calls(visit.site, visit.request.app, visit.root))
