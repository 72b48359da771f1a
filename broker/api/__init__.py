"""The HTTP API, thin: it decodes, authenticates, calls the store, and encodes."""

from broker.api import (
    assign,
    groups,
    joining,
    logs,
    maintenance,
    manager_tokens,
    managers,
    monitoring,
    project_tasks,
    projects,
    reasons,
    service,
    tasks,
    turn,
    webhooks,
    workers,
)
from broker.api.routing import Route


def routes() -> list[Route]:
    """Every call, those of workers first: routes are tried in order."""
    modules = (
        tasks,
        assign,
        turn,
        logs,
        workers,
        joining,
        projects,
        reasons,
        managers,
        manager_tokens,
        maintenance,
        project_tasks,
        groups,
        monitoring,
        webhooks,
        service,
    )
    return [route for module in modules for route in module.routes]
