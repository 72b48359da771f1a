"""A broker with projects in every state, and with hostile texts."""

import json
import time
from typing import Any

from redis import Redis

from tests.browser.sample_snapshots import write_history
from tests.client import Caller, Fleet, ManagerCaller, WorkerCaller
from tests.serving import Serving, until

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
TURNED = "\N{RIGHT-TO-LEFT OVERRIDE}evil\N{RIGHT-TO-LEFT ISOLATE}"
WORD = "x" * 10_000
HOSTILE = f"{SCRIPT}{TURNED}"
GROUPS = ("<b>&\"'", HOSTILE, WORD[:255], " two  spaces ", "100%/a?b#c+d")
"""Hostile names of groups."""
REASONS = ("HTTP 503 Service Unavailable", "no answer within 30 s", "HTTP 404 Not Found")


class SampleData:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.url = serving.url
        self.admin: Caller = serving.caller()
        self.admin.post("/register", {"username": "ada", "password": "a long password"}).content()
        self.fleet = Fleet(self.url, self.admin)
        self.index = self.fleet.project(name="Python docs: index", priority=5)
        self.busy = self._busy()
        self.hostile = self._hostile()
        self.grouped = self._grouped()
        self.failing = self._failing()
        self.empty = self.fleet.project(name="Not begun yet")
        self.paused = self.fleet.project(name="Shop prices", paused=True, assign_rate=2.5, submit_rate=100)
        worker = self.fleet.worker(self.paused, alias="prices-1")
        self.prices = worker.id
        self._submit(worker, self.paused, 340)
        self.fleet.project(name="Old archive", hidden=True)
        with Redis(unix_socket_path=str(serving.store_socket())) as redis:
            write_history(redis, self.busy, closed=48_000, waiting=(1900, 680), failed=16)
            write_history(redis, self.index, closed=21_400, waiting=(1200, 535))
            write_history(redis, self.paused, closed=3_210, waiting=(900, 340))
            self._silent(redis)
        asked = {"project": self.busy, "assign": True, "submit": True}
        for n in (7, 8):
            self.fleet.worker(alias=f"newcomer-{n}").post("/project/request_access", asked).content()
        rejected = self.fleet.worker(self.busy, alias="newcomer-6")
        self.admin.post(f"/project/reject_request/{self.busy}/{rejected.id}").content()
        for uses in (300, 1, 0):
            self._join_token(uses)
        self.guide = ManagerCaller(self.url, "grace", "a long password")
        """A manager who sees only what the README's pictures may show."""
        for project in (self.busy, self.index, self.paused, self.empty):
            self._role(project, self.guide, 31)
        self._logs(worker)

    def close(self) -> None:
        self.guide.close()
        self.fleet.close()

    def _silent(self, redis: Redis) -> None:
        """One worker that was seen 17 minutes ago and holds tasks, and one of last month."""
        for n, worker in enumerate(self.workers):
            worker.get("/task/get/1", headers={"X-Worker-Info": f"version=1.{4 - n // 4}; host=node-{n}.example"})
        for alias, ago in (("gone with its tasks", 1_020), ("of last month", 30 * 86_400)):
            worker = self.fleet.worker(self.busy, alias=alias)
            worker.get(f"/task/get/{self.busy}?count=5", headers={"X-Worker-Info": "version=1.3; host=node-9.example"})
            until(lambda id=worker.id: redis.hexists("broker:{directory}:worker-info", str(id)))  # type: ignore[misc]
            redis.zadd("broker:{directory}:worker-seen", {str(worker.id): (time.time() - ago) // 60 * 60})

    def _join_token(self, uses: int) -> None:
        body = {"assign": True, "submit": uses > 1, "uses": uses, "expires_in": 86_400 * (uses or 400)}
        token = self.admin.post(f"/project/join_tokens/{self.busy}", body).content()["token"]
        self.workers[4].post("/project/join", {"project": self.busy, "token": token}).content()
        self.fleet.worker(alias=f"fleet-{uses}").post("/project/join", {"project": self.busy, "token": token})

    def _role(self, project: int, manager: ManagerCaller, bits: int) -> None:
        body = {"manager": manager.id, "role": bits}
        self.admin.post(f"/manager/set_role_for_project/{project}", body).content()

    def _busy(self) -> int:
        """Tasks in every state, a chain, and two days of snapshots."""
        fields: dict[str, Any] = {
            "name": "Python docs: pages",
            "priority": 10,
            "chain": self.index,
            "version": "6113728",
            "clone_url": "https://git.example/ada/crawler",
            "git_repo": "ada/crawler",
            "motd": "Be gentle with docs.example: two requests a second, no more.",
        }
        project = self.fleet.project(**fields)
        workers = [self.fleet.worker(project, alias=f"crawler-{n}") for n in range(1, 6)]
        self.workers = workers
        self._submit(workers[0], project, 1_200, max_retries=0)
        for worker, share in zip(workers, (260, 210, 90, 40, 12), strict=True):
            tasks = worker.get(f"/task/get/{project}?count={share}").content()["tasks"]
            kept = share // 10
            releases: list[dict[str, Any]] = [
                {"task_id": task["id"], "result": int(n % 40 == 0), "message": REASONS[n // 40 % 3]}
                for n, task in enumerate(tasks[kept:])
            ]
            worker.post("/task/bulk_release", {"requests": releases}).content()
        self._submit(workers[0], project, 30, priority=3, verification_count=3)
        for task in workers[1].get(f"/task/get/{project}?count=24").content()["tasks"]:
            workers[1].release(task["id"], verification=7)
        return project

    def _submit(self, worker: WorkerCaller, project: int, count: int, **fields: int) -> None:
        pages = ("library", "howto", "reference", "tutorial", "whatsnew")
        requests = [
            {"project": project, "recipe": f'{{"url": "https://docs.example/{pages[n % 5]}/{n}.html"}}', **fields}
            for n in range(count)
        ]
        worker.post("/task/bulk_submit", {"requests": requests}).content()

    def _hostile(self) -> int:
        project = self.fleet.project(
            name=f"{HOSTILE} shop",
            hidden=True,
            motd=f"{HOSTILE}\n{WORD}",
            version=WORD,
            clone_url="javascript:document.title='taken'",
            git_repo=HOSTILE,
        )
        worker = self.fleet.worker(project, alias=f"{HOSTILE}{WORD}")
        recipes = (
            HOSTILE,
            WORD,
            f'{{"a": {json.dumps(HOSTILE)}, "b": ["{WORD}", 12345678901234567890]}}',
            "</script></bdi>",
        )
        tasks = [worker.submit(project, recipe, verification_count=2) for recipe in recipes]
        self.hostile_task = tasks[2]
        worker.release(worker.take(project)["id"], verification=1)
        self.failed_task = worker.take(project)["id"]
        failed = {"task_id": self.failed_task, "result": 1, "message": f"{HOSTILE} {WORD}"[:1000]}
        worker.post("/task/release", failed).content()
        worker.take(project)
        asking = self.fleet.worker(alias=HOSTILE)
        asking.post("/project/request_access", {"project": project, "assign": True}).content()
        worker.post("/log/error", {"scope": HOSTILE, "message": f"{HOSTILE} {WORD}", "timestamp": 1}).content()
        worker.post("/log/warn", {"scope": WORD, "message": HOSTILE, "timestamp": 2**63 - 1}).content()
        return project

    def _grouped(self) -> int:
        """Groups in every state."""
        project = self.fleet.project(name="Sites", hidden=True, group_delay=3600, group_limit=1)
        worker = self.fleet.worker(project, alias="sites-1")
        for group in ("a.example", "b.example", "c.example", *GROUPS):
            for n in range(2):
                worker.submit(project, f"https://{group}/{n}", group=group, verification_count=2)
            if group == "a.example":
                worker.take(project)
            elif group == "b.example":
                worker.release(worker.take(project)["id"], verification=1)
        worker.submit(project, "https://d.example/later", group="d.example", delay=86_400)
        for group, changes in (
            ("b.example", {"delay": 7200.5, "limit": 3}),
            ("c.example", {"blocked_for": 86_400}),
            (WORD[:255], {"delay": 0.25, "limit": 0, "blocked_for": 600}),
        ):
            self.admin.post(f"/project/group/{project}", {"group": group, **changes}).content()
        return project

    def _failing(self) -> int:
        """Most of its tasks have failed, for many reasons."""
        project = self.fleet.project(name="Shop pages, old layout", hidden=True)
        worker = self.fleet.worker(project, alias="shop-1")
        requests = [
            {"project": project, "recipe": f"https://shop.example/p/{n}", "group": f"{n % 7}.shop.example"}
            for n in range(130)
        ]
        worker.post("/task/bulk_submit", {"requests": requests}).content()
        releases = [
            {
                "task_id": task["id"],
                "result": 1,
                "message": REASONS[n % 3]
                if n < 100
                else f"no price in https://shop.example/p/{n}: the page has changed",
            }
            for n, task in enumerate(worker.get(f"/task/get/{project}?count=120").content()["tasks"])
        ]
        worker.post("/task/bulk_release", {"requests": releases}).content()
        return project

    def _logs(self, worker: WorkerCaller) -> None:
        now = int(time.time())
        lines = [
            ("info", "fetch", "started, 4 threads"),
            ("warn", "fetch", "https://shop.example/robots.txt answers 429; waiting 30 s"),
            ("info", "parse", "1,204 prices in 32 pages"),
            ("error", "parse", "no price in https://shop.example/p/4711: the page has changed"),
            ("warn", "fetch", "slow: 14.2 s for https://shop.example/p/4712"),
        ]
        for n, (level, scope, message) in enumerate(lines):
            body = {"scope": scope, "message": message, "timestamp": now - 3600 + 700 * n}
            worker.post(f"/log/{level}", body).content()
