"""Submitting tasks by hand."""

from starlette.responses import Response
from starlette.routing import BaseRoute

from broker.web.site import Site
from broker.web.visit import Visit


async def console(visit: Visit) -> Response:
    projects = [project async for project in visit.store.projects.every(visit.me.id) if project.visible]
    projects.sort(key=lambda project: project.fields["name"].casefold())
    return visit.page("console.html", projects=projects, chosen=visit.number("project", 0))


def routes(site: Site) -> list[BaseRoute]:
    return [site.route("/console", console)]
