"""Groups of a project's tasks, by state, and a single one with its limits."""

from starlette.responses import Response

from broker.api.values import LONGEST_DELAY, valid_group
from broker.store.projects import EDIT, MAINTENANCE, READ
from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

STATES = {
    "ready": (
        "Ready",
        "No groups are ready.",
        "A group is listed here while one of its waiting tasks can be assigned.",
    ),
    "resting": (
        "Resting",
        "No groups are resting.",
        "After each get, a group rests for its delay. Until then, its next task is not assigned.",
    ),
    "full": (
        "Full",
        "No groups are full.",
        "A group is full while workers hold as many of its tasks as its limit allows, and more tasks are waiting.",
    ),
    "blocked": (
        "Blocked",
        "No groups are blocked.",
        "Workers block a group for a while when a site asks them to wait; managers can do this as well. Until then, "
        "none of its tasks is assigned.",
    ),
}
_PAGE = 100


@pages.add("/projects/{id}/groups")
async def groups(visit: Visit) -> Response:
    project, query = await visit.project(READ), visit.request.query_params
    state = visit.choice("state", *STATES)
    # Not stripped: names may begin and end with spaces.
    name, after = query.get("group", ""), query.get("after", "")
    if name:
        onward, rows = "", [await visit.store.groups.get(project.id, valid_group(name))]
    else:
        onward, rows = await visit.store.groups.page(project.id, state, after, _PAGE)
    stats = await visit.store.monitoring.stats(project.id)
    return visit.page(
        "groups.html",
        project=project,
        states=STATES,
        state=state,
        stats=stats,
        name=name,
        rows=rows,
        after=after,
        onward=onward,
        longest=LONGEST_DELAY,
        may={"edit": bool(project.roles & EDIT), "maintain": bool(project.roles & MAINTENANCE)},
    )
