"""The HTTP API, thin: it decodes, authenticates, calls the store, and encodes."""

from broker.api import (
    assign,
    git,
    health,
    logs,
    maintenance,
    managers,
    metrics,
    monitoring,
    openapi,
    projects,
    tasks,
    workers,
)
from broker.api.routing import Route


def routes() -> list[Route]:
    """Every call, those of workers first: routes are tried in order."""
    modules = (tasks, assign, logs, workers, projects, managers, maintenance, monitoring, git, health, metrics, openapi)
    return [route for module in modules for route in module.routes]
