"""One shift of a crew: everything that managers and workers do with a project, from its creation to its deletion."""

import random
import secrets
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from typing import Any

import httpx

from tests.client import Answer, Caller, WorkerCaller

PASSWORD = "a long password"
TASKS = 40


class Pace:
    """So many calls a second for all crews together, at most; and how many there were."""

    def __init__(self, rate: float) -> None:
        self._lock = threading.Lock()
        self._gap = 1 / rate
        self._next = 0.0
        self.calls = 0

    def __call__(self, _: httpx.Request) -> None:
        with self._lock:
            self.calls += 1
            self._next = max(self._next, time.monotonic()) + self._gap
            wait = self._next - time.monotonic()
        time.sleep(max(0.0, wait))


class Lifecycle:
    """A manager and three workers with accounts of their own; what they did is counted in ``done``."""

    def __init__(self, url: str, number: int, pace: Pace, done: Counter[str]) -> None:
        self._url = url
        self._pace = pace
        self._done = done
        self._choose = random.Random(number)
        self._manager = f"manager-{number}"
        with ExitStack() as stack:
            manager = self._caller(stack)
            manager.post("/register", {"username": self._manager, "password": PASSWORD}).content()
            manager.post("/logout")
            self._workers = [self._recruit(manager) for _ in range(3)]

    def _caller(self, stack: ExitStack, worker: dict[str, Any] | None = None) -> Any:
        """With a connection of its own, until the end of the stack."""
        caller = WorkerCaller(self._url, worker) if worker else Caller(self._url)
        caller.http.event_hooks["request"] = [self._pace]
        return stack.enter_context(closing(caller))

    def _recruit(self, caller: Caller) -> dict[str, Any]:
        self._done["workers made"] += 1
        worker: dict[str, Any] = caller.post("/worker/create", {"alias": "crew"}).content()["worker"]
        return worker

    def shift(self) -> None:
        """Leaves nothing behind except one worker, and keys that expire."""
        with ExitStack() as stack:
            manager = self._caller(stack)
            manager.post("/login", {"username": f"no-{secrets.token_hex(5)}", "password": PASSWORD})
            manager.post("/login", {"username": self._manager, "password": PASSWORD}).content()
            target = self._project(manager)
            source = self._project(manager, chain=target, remember_closed=1, git_repo=f"crew/{secrets.token_hex(4)}")
            workers = [self._caller(stack, worker) for worker in self._workers]
            for worker in workers:
                self._let_in(manager, worker, source, target)
            self._newcomer(stack, manager, source)
            self._submit(workers[0], source)
            self._hang_up()
            while self._work(self._choose.choice(workers), source):
                pass
            self._look(manager, source)
            self._work(workers[1], target)
            for operation in self._choose.sample(["reset_failed_tasks", "reclaim_assigned_tasks", "hard_reset"], 2):
                manager.post(f"/project/{operation}/{source}").content()
            for project in (source, target):
                manager.post(f"/project/delete/{project}")
            manager.post("/logout")
        self._done["shifts"] += 1

    def _project(self, manager: Caller, **fields: Any) -> int:
        self._done["projects made and deleted"] += 1
        made = manager.post("/project/create", {"name": f"crew {secrets.token_hex(6)}", **fields})
        project: int = made.content()["id"]
        return project

    def _let_in(self, manager: Caller, worker: WorkerCaller, *projects: int) -> None:
        """By a request, or by a token that ends with it."""
        both = {"assign": True, "submit": True}
        for project in projects:
            if self._choose.random() < 0.5:
                worker.post("/project/request_access", {"project": project, **both}).content()
                manager.post(f"/project/accept_request/{project}/{worker.id}").content()
                continue
            token = manager.post(f"/project/join_tokens/{project}", both | {"uses": 1}).content()
            joining = {"project": project, "token": token["token"]}
            headers = {"X-Worker-Info": f"version={self._done['shifts']}; host=crew"}
            worker.post("/project/join", joining, headers=headers).content()
            manager.post(f"/project/revoke_join_token/{project}", {"token_id": token["token_id"]}).content()

    def _newcomer(self, stack: ExitStack, manager: Caller, project: int) -> None:
        """One who comes, gets a new name and secret, is let in and sent away."""
        worker = self._caller(stack, self._recruit(manager))
        worker.post("/worker/update", {"alias": "renamed"}).content()
        self._let_in(manager, worker, project)
        worker.post("/worker/rotate_secret").content()
        assert worker.get(f"/task/get/{project}").status == 403
        manager.post(f"/project/reject_request/{project}/{worker.id}").content()

    def _submit(self, worker: WorkerCaller, project: int) -> None:
        kinds = [{}, {"max_retries": 2}, {"verification_count": 2}, {"max_assign_time": 1}]
        requests = [
            {"project": project, "recipe": f"{n}", "unique_string": f"{n}", **kinds[n % len(kinds)]}
            for n in range(TASKS)
        ]
        worker.post("/task/bulk_submit", {"requests": requests}).content()
        for request in requests[:5]:
            assert worker.post("/task/submit", request).status == 409
        worker.submit(project, "the last", priority=-1)
        line = {"scope": "crew", "message": "submitted", "timestamp": int(time.time())}
        assert worker.post("/log/info", line).status == 200

    def _work(self, worker: WorkerCaller, project: int) -> bool:
        """Gets some tasks and releases each in some way. Whether there were any."""
        paths = [f"/task/get/{project}", f"/task/get/{project}?count=5", "/task/get"]
        answer: Answer = worker.get(self._choose.choice(paths))
        if not answer.body["ok"]:
            return False
        content = answer.content()
        tasks = [task["id"] for task in content.get("tasks") or [content["task"]]]
        worker.post("/task/extend", {"task_ids": tasks[:2], "seconds": 60}).content()
        for task in tasks[1:]:
            # Mostly ok; 3 is to forget about it.
            result = self._choose.choice([0, 0, 0, 0, 0, 1, 2, 3])
            if result == 3:
                self._done["abandoned"] += 1
            else:
                worker.release(task, result, self._choose.randrange(2))
        releases = [{"task_id": task, "result": 0} for task in tasks[:1]]
        worker.post("/task/bulk_release", {"requests": releases}).content()
        return True

    def _look(self, manager: Caller, project: int) -> None:
        """Reads everything that can be read."""
        calls = ("get", "stats", "tasks", "assignees", "access_list", "secret")
        for path in (*(f"/project/{call}/{project}" for call in calls), "/worker/stats", "/account/sessions"):
            manager.get(path).content()
        counters = manager.get(f"/project/stats/{project}").content()["stats"]["counters"]
        for name in ("closed", "failed", "retried", "voted", "skipped", "reclaimed"):
            self._done[name] += counters.get(name, 0)
        manager.get(f"/project/monitoring/{project}?count=9").content()
        manager.post("/logs", {"level": 5, "since": 1}).content()
        for page in ("", "workers", f"workers/{self._workers[0]['id']}", f"projects/{project}"):
            answer = manager.http.get(f"/ui/{page}")
            assert answer.status_code == 200, answer

    def _hang_up(self) -> None:
        """In the middle of a request, before one, and before the answer."""
        url = httpx.URL(self._url)
        call = b"POST /worker/get/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
        for sent in (call, b"", b"GET /project/list HTTP/1.1\r\nHost: x\r\n\r\n"):
            with socket.create_connection((url.host, url.port or 80), timeout=10) as client:
                client.sendall(sent)
            self._done["connections dropped"] += 1
