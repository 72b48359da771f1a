"""The HTTP API, thin: it decodes, authenticates, calls the store, and encodes."""

from starlette.routing import Route

from broker.api import (
    git,
    health,
    logs,
    maintenance,
    managers,
    metrics,
    monitoring,
    openapi,
    projects,
    taking,
    tasks,
    workers,
)


def routes() -> list[Route]:
    """Every call, those of workers first: routes are tried in order."""
    modules = (tasks, taking, logs, workers, projects, managers, maintenance, monitoring, git, health, metrics, openapi)
    return [route for module in modules for route in module.ROUTES]
