"""The only place in Python where a key is spelled. The keys below a base are listed in ``lua/README.md``.

``{...}`` is the Cluster hash tag: one project lives in one slot, the directory in another.
"""

LAYOUT = 2
"""Version of the key layout, kept in ``broker:{directory}:layout``."""

PROJECT_LIMIT = 100_000
"""A task id is ``n * 100,000 + project id``, so project ids stay below this."""


class Keys:
    """Builds the ``KEYS`` of scripts: the base of a slot, and its guard, a key that never exists."""

    def __init__(self, prefix: str = "broker") -> None:
        self._prefix = prefix
        self.directory = self._pair(f"{prefix}:{{directory}}")

    def project(self, project: int) -> tuple[str, str]:
        return self._pair(f"{self._prefix}:{{project:{project}}}")

    @staticmethod
    def _pair(base: str) -> tuple[str, str]:
        return base, f"{base}:guard"


def project_of(task: int) -> int:
    """The project that a task id names; 0 when no task can have this id."""
    return task % PROJECT_LIMIT if PROJECT_LIMIT < task <= 2**53 else 0
