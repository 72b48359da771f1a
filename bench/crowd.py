"""Who calls the broker under test: a manager with projects, and workers with access to them."""

import secrets
from typing import Any

import httpx

from bench.errors import BenchError
from bench.job import Job, Worker
from bench.load import BULK
from bench.measure import drive
from bench.servers import Broker


class Crowd:
    """One manager, and workers that have access to every project there is."""

    def __init__(self, broker: Broker, workers: int = 16) -> None:
        self.broker = broker
        url = f"http://127.0.0.1:{broker.port}"
        self._manager = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._anybody = httpx.Client(base_url=url, timeout=60, trust_env=False)
        _content(self._manager.post("/register", json={"username": "bench", "password": secrets.token_hex(8)}))
        self.workers = [self._worker() for _ in range(workers)]

    def close(self) -> None:
        self._manager.close()
        self._anybody.close()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _worker(self) -> Worker:
        made = _content(self._anybody.post("/worker/create", json={"alias": "bench"}))["worker"]
        return Worker(made["id"], made["secret"])

    def project(self, **fields: object) -> int:
        """A new project, to which all workers have access."""
        made = self._manager.post("/project/create", json={"name": f"bench {secrets.token_hex(6)}", **fields})
        project: int = _content(made)["id"]
        for worker in self.workers:
            asked = {"project": project, "assign": True, "submit": True}
            headers = {"X-Worker-ID": str(worker.id), "X-Secret": worker.secret}
            _content(self._anybody.post("/project/request_access", json=asked, headers=headers))
            _content(self._manager.post(f"/project/accept_request/{project}/{worker.id}"))
        return project

    def maintain(self, project: int, call: str) -> None:
        """``call``: hard_reset or delete."""
        _content(self._manager.post(f"/project/{call}/{project}"))

    def stats(self, project: int) -> dict[str, Any]:
        """Tasks in each state, and totals, as the broker counts them."""
        stats: dict[str, Any] = _content(self._manager.get(f"/project/stats/{project}"))["stats"]
        return stats

    def fill(self, project: int, tasks: int) -> float:
        """Until at least so many tasks wait; how many went in a second, 0 if there were enough."""
        missing = tasks - int(self.stats(project)["waiting"])
        if missing <= 0:
            return 0.0
        calls = -(-missing // BULK)
        filled = drive(self.broker, self.job("bulk_submit", 600, [project], connections=min(4, calls), calls=calls))
        if filled.errors:
            raise BenchError(f"could not fill a project: {filled.errors}")
        return filled.tasks

    def spread(self, projects: list[int], tasks: int) -> None:
        """At least so many tasks wait in these projects together, about as many in each."""
        if len(projects) == 1:
            self.fill(projects[0], tasks)
            return
        # One by one: a bulk call is for one project, and there may be a thousand.
        spread = drive(self.broker, self.job("submit", 600, projects, calls=tasks))
        if spread.errors:
            raise BenchError(f"could not fill projects: {spread.errors}")

    def job(
        self, load: str, seconds: float, projects: list[int], *, connections: int = 32, rate: float = 0, calls: int = 0
    ) -> Job:
        """A job on this broker, by these workers."""
        return Job(
            port=self.broker.port,
            load=load,
            seconds=seconds,
            connections=connections,
            rate=rate,
            calls=calls,
            projects=projects,
            workers=self.workers,
        )


def _content(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json() if answer.content else {"ok": True}
    if not body["ok"]:
        raise BenchError(f"{answer.request.method} {answer.request.url.path}: {body.get('message')}")
    content: dict[str, Any] = body.get("content", {})
    return content
