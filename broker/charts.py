"""Where Chart.js is. A module of its own, so that the supervisor checks it without importing the web UI."""

from importlib.util import find_spec
from pathlib import Path

from broker.errors import StartError

_CHART = "django/static/chartkick/Chart.bundle.js"
"""Chart.js with its date adapter, inside the chartkick package."""


def chart_library() -> Path:
    """Raises :class:`StartError` when the installation lacks it."""
    package = find_spec("chartkick")
    for folder in (package.submodule_search_locations or []) if package else []:
        if (path := Path(folder) / _CHART).is_file():
            return path
    raise StartError(f"the package chartkick, version 1, is not installed, or has no {_CHART}")
