"""Pushes, as GitHub, Gitea and Gogs tell of them: ``payloads/`` has events as their public documentation shows them."""

import hmac
import json
from pathlib import Path

from tests.client import Answer, Caller, Fleet

PAYLOADS = Path(__file__).parent / "payloads"
HEADERS = ("X-Hub-Signature-256", "X-Hub-Signature", "X-Gitea-Signature", "X-Gogs-Signature")
SECRET = "a secret with ünicode"
VERSION = "0" * 39 + "1"


def payload(sender: str, repository: str) -> tuple[bytes, str]:
    """The documented event, of this repository; and the commit that it ends at."""
    text = (PAYLOADS / f"{sender}.json").read_text()
    event = json.loads(text)
    return text.replace(event["repository"]["full_name"], repository).encode(), event["after"]


def digest(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def push(repository: str, ref: object = "refs/heads/main", after: object = VERSION) -> bytes:
    return json.dumps({"ref": ref, "after": after, "repository": {"full_name": repository}}).encode()


def hook(caller: Caller, body: bytes, **headers: str) -> Answer:
    """``headers`` have _ for -; without any, signed as Gitea does."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.post("/git/receivehook", body, headers=given or {"X-Gitea-Signature": digest(body)})


def a_project(fleet: Fleet, repository: str, secret: str = SECRET) -> int:
    project = fleet.project(git_repo=repository, version="before")
    fleet.admin.post(f"/project/webhook_secret/{project}", {"webhook_secret": secret}).content()
    return project


def version(fleet: Fleet, project: int) -> str:
    found: str = fleet.anybody.get(f"/project/get/{project}").content()["version"]
    return found
