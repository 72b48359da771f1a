"""The HTTP API, thin: it decodes, authenticates, calls the store, and encodes."""

from starlette.routing import BaseRoute

from broker.api import health, logs, managers, projects, tasks, workers


def routes() -> list[BaseRoute]:
    """Every call, those of workers first: routes are tried in order."""
    return [*tasks.ROUTES, *logs.ROUTES, *workers.ROUTES, *projects.ROUTES, *managers.ROUTES, *health.ROUTES]
