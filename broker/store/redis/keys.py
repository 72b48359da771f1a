"""The only place in Python where a key is spelled. The keys below a base are listed in ``lua/README.md``.

``{...}`` is the Cluster hash tag: one project lives in one slot, the directory in another.
"""

from functools import lru_cache

LAYOUT = 3
"""Version of the key layout, kept in ``broker:{directory}:layout``."""

PROJECT_LIMIT = 100_000
"""A task id is ``n * 100,000 + project id``, so project ids stay below this."""


_BUSY = 1024
"""Projects whose keys are cached."""


class Keys:
    """Builds the ``KEYS`` of scripts: the base of a slot, and its guard, a key that never exists."""

    def __init__(self, prefix: str = "broker") -> None:
        self._prefix = prefix
        self.wakes = f"{prefix}:{{*}}:wake"
        """The pattern of the channels: a project announces waiting tasks, the directory an active project."""
        self.directory = _pair(f"{prefix}:{{directory}}")
        self.last_worker = self._of_directory("next-worker")
        self.worker_closed = self._of_directory("worker-closed")
        self.worker_held = self._of_directory("worker-held")
        self.worker_failed = self._of_directory("worker-failed")
        self.worker_seen = self._of_directory("worker-seen")
        self.worker_info = self._of_directory("worker-info")
        self.projects = self._of_directory("projects")
        self.sum = self._of_directory("sum")
        self.sum_hidden = self._of_directory("sum-hidden")
        self.changed = self._of_directory("changed")
        self.active = self._of_directory("active")
        self.active_public = self._of_directory("active_public")
        self.project = lru_cache(_BUSY)(self._project)

    def worker_projects(self, worker: int) -> str:
        return self._of_directory(f"worker:{worker}:projects")

    def pending(self, which: str) -> str:
        return self._of_directory(which)

    def logs(self, level: str) -> str:
        return self._of_directory(f"logs:{level}")

    def access(self, project: int, which: str) -> str:
        """``access``, ``requests`` or ``rejected``."""
        return f"{self.project(project)[0]}:{which}"

    def held(self, project: int) -> str:
        return self._of_directory(f"held:{project}")

    def project_of(self, base: str) -> int:
        """The project whose base this is."""
        return int(base[base.rindex(":") + 1 : -1])

    def delayed(self, project: int) -> str:
        return f"{self.project(project)[0]}:delayed"

    def imported(self, project: int) -> str:
        return f"{self.project(project)[0]}:imported"

    def _of_directory(self, name: str) -> str:
        return f"{self.directory[0]}:{name}"

    def _project(self, project: int) -> tuple[str, str]:
        return _pair(f"{self._prefix}:{{project:{project}}}")


def _pair(base: str) -> tuple[str, str]:
    return base, f"{base}:guard"
