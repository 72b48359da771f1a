"""What a call of the table in ``test_who_may.py`` needs, so that only its sender can be a reason to refuse it."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.client import Fleet, ManagerCaller, WorkerCaller


class CallSetup:
    """Creates everything when it is first used."""

    def __init__(self, fleet: Fleet, variant: str) -> None:
        self.fleet = fleet
        self.variant = variant.split(",")
        self.manager: ManagerCaller | None = None
        """Who is about to make the call, with a session."""
        self.repository = f"crawlers/{secrets.token_hex(6)}"

    @cached_property
    def project(self) -> int:
        return self.fleet.project(hidden="hidden" in self.variant, git_repo=self.repository)

    @cached_property
    def other_project(self) -> int:
        return self.fleet.project()

    @cached_property
    def worker(self) -> WorkerCaller:
        return self.fleet.worker(self.project)

    @cached_property
    def applicant(self) -> int:
        worker = self.fleet.worker()
        worker.post("/project/request_access", {"project": self.project, "assign": True}).content()
        return worker.id

    @cached_property
    def join_token(self) -> dict[str, Any]:
        return self.fleet.admin.post(f"/project/join_tokens/{self.project}", {"assign": True}).content()

    @cached_property
    def someone(self) -> ManagerCaller:
        return self.fleet.manager()

    @cached_property
    def waiting(self) -> int:
        return self.worker.submit(self.project)

    @cached_property
    def held(self) -> int:
        assert self.waiting
        task: int = self.worker.take(self.project)["id"]
        return task

    @cached_property
    def failed(self) -> int:
        assert self.worker.release(self.held, 1)
        return self.held

    @cached_property
    def push(self) -> str:
        return json.dumps(
            {"ref": "refs/heads/main", "after": "a" * 40, "repository": {"full_name": self.repository}}
            if self.project
            else {}
        )

    @cached_property
    def token(self) -> int:
        """A token of that manager; 1 for others."""
        if self.manager is None:
            return 1
        id: int = self.manager.post("/account/tokens", {"name": "a program"}).content()["token_id"]
        return id

    def signature(self) -> dict[str, str]:
        secret = self.fleet.admin.get(f"/project/webhook_secret/{self.project}").content()["webhook_secret"]
        return {"X-Gitea-Signature": hmac.new(secret.encode(), self.push.encode(), hashlib.sha256).hexdigest()}


def named(**fields: Any) -> dict[str, Any]:
    return {"name": f"project {secrets.token_hex(6)}", **fields}


BODIES: dict[str, Callable[[CallSetup], Any]] = {
    "/task/submit": lambda s: {"project": s.project, "recipe": "r"},
    "/task/bulk_submit": lambda s: {"requests": [{"project": s.project, "recipe": "r"}]},
    "/task/release": lambda s: {"task_id": s.held, "result": 0},
    "/task/bulk_release": lambda s: {"requests": [{"task_id": s.held, "result": 0}]},
    "/task/turn": lambda s: {
        "releases": [{"task_id": s.held, "result": 0}],
        "submits": [{"project": s.project, "recipe": "r"}],
        "get": {"project": s.project},
    },
    "/task/extend": lambda s: {"task_id": s.held, "seconds": 60},
    "/worker/delete": lambda s: {"worker": s.worker.id},
    "/worker/set_paused": lambda s: {"worker": s.worker.id, "paused": True},
    "/project/create": lambda s: named(
        **{"public": True} if "public" in s.variant else {"chain": s.project} if "chain" in s.variant else {}
    ),
    "/project/update/{id}": lambda s: {"public": True} if "public" in s.variant else {"motd": "changed"},
    "/project/request_access": lambda s: {"project": s.other_project, "assign": True},
    "/project/revoke_join_token/{id}": lambda s: {"token_id": s.join_token["token_id"]},
    "/project/join": lambda s: {"project": s.project, "token": s.join_token["token"]},
    "/register": lambda s: {"username": f"m-{secrets.token_hex(5)}", "password": "a long password"},
    "/login": lambda s: {"username": s.someone.username, "password": s.someone.password},
    "/account/revoke_token": lambda s: {"token_id": s.token},
    "/account/password": lambda s: {"old": "a long password", "new": "another password"},
    "/manager/set_role_for_project/{id}": lambda s: {"manager": s.someone.id, "role": 4},
    "/git/receivehook": lambda s: s.push,
}
"""Of calls for which the body of their example does not do."""

QUERIES: dict[str, Callable[[CallSetup], str]] = {
    "/worker/stats": lambda s: f"?project={s.project}" if "project" in s.variant else "",
    "/project/monitoring/{id}": lambda s: "?count=10",
    "/project/monitoring-between/{id}": lambda s: "?from=1&to=9999999999",
    "/project/why/{id}": lambda s: f"?worker={s.worker.id}",
    "/project/group/{id}": lambda s: "?group=example.org",
    "/project/groups/{id}": lambda s: "?state=ready",
}


def path_of(path: str, scene: CallSetup) -> str:
    places: dict[str, Callable[[], object]] = {
        "level": lambda: "info",
        "project": lambda: scene.project,
        "worker": lambda: scene.applicant,
        "task": lambda: scene.failed if "retry" in path else scene.waiting,
        "id": lambda: (
            scene.someone.id
            if re.match("/manager/(pro|de)mote", path)
            else scene.worker.id
            if path.startswith("/worker")
            else scene.project
        ),
    }
    filled = re.sub(r"{(\w+)}", lambda place: str(places[place[1]]()), path)
    return filled + (QUERIES[path](scene) if path in QUERIES else "")
