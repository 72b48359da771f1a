"""Finds the endpoint of a call by its path, in one or two look-ups of a table: Starlette tries one route after another.

What it does not know (two parameters, a wrong method, no such path, the UI) is Starlette's to route.
"""

from collections.abc import Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Scope


class Table:
    def __init__(self, routes: Sequence[Route], prefixes: Sequence[str]) -> None:
        """``prefixes``: what may stand before the path of every route."""
        self._fixed: dict[tuple[str, str], ASGIApp] = {}
        self._open: dict[tuple[str, str], tuple[ASGIApp, str]] = {}
        """By the path up to its last part, which is a parameter: the endpoint, and the parameter's name."""
        for route in routes:
            start, _, last = route.path.rpartition("/")
            for method in route.methods or ():
                for prefix in prefixes:
                    if "{" not in route.path:
                        self._fixed[method, prefix + route.path] = route.endpoint
                    elif "{" not in start:
                        self._open[method, prefix + start] = route.endpoint, last.strip("{}")

    def find(self, scope: Scope) -> ASGIApp | None:
        """The endpoint of this call, with the parameter of its path noted in ``scope``."""
        method, path = scope["method"], scope["path"]
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed
        start, _, value = path.rpartition("/")
        found = self._open.get((method, start)) if value else None
        if found is None:
            return None
        endpoint, parameter = found
        scope["path_params"] = {parameter: value}
        return endpoint
