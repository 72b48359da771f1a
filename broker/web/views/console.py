"""Submitting tasks by hand."""

from starlette.responses import Response

from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()


@pages.add("/console")
async def console(visit: Visit) -> Response:
    projects = [project async for project in visit.store.projects.every(visit.me.id) if project.visible]
    projects.sort(key=lambda project: project.fields["name"].casefold())
    return visit.page("console.html", projects=projects, chosen=visit.number("project", 0))
