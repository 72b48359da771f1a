"""Webhooks of GitHub, Gitea and Gogs: a push to the main branch sets the version of the repository's projects."""

import asyncio
import hashlib
import hmac
import re

from broker.api import answers
from broker.api.bodies import Push
from broker.api.requests import Call, decoded
from broker.api.responses import Reply
from broker.api.routing import SIGNED, Example, Operation, Routes
from broker.errors import BrokerError

_BRANCHES = ("refs/heads/master", "refs/heads/main")
_SHA1 = 40
"""Hexadecimal digits of a SHA-1; a SHA-256 has 64."""

_SIGNATURE = re.compile(r"(?:sha(?:1|256)=)?([0-9a-fA-F]{40}|[0-9a-fA-F]{64})")


_HEADERS = (b"x-hub-signature-256", b"x-hub-signature", b"x-gitea-signature", b"x-gogs-signature")


routes = Routes()

EXAMPLE_COMMIT = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


@routes.add(
    "POST /git/receivehook",
    Operation(
        group="Projects",
        summary="Receive a push from GitHub, Gitea or Gogs",
        text="Sets `version` to `after` in every project whose `git_repo` is `repository.full_name` and whose webhook "
        "secret signed the body. The signature is the HMAC of the raw body, with SHA-1 or SHA-256, in "
        "`X-Hub-Signature-256`, `X-Hub-Signature`, `X-Gitea-Signature` or `X-Gogs-Signature`. A call that is not a "
        "push to `refs/heads/master` or `refs/heads/main` answers with a message and changes nothing. Safe to repeat.",
        who=SIGNED,
        body=Push,
        large=True,
        content=(answers.Versioned,),
        remarks="instead",
        example=Example(
            path="/git/receivehook",
            body={"ref": "refs/heads/main", "after": EXAMPLE_COMMIT, "repository": {"full_name": "ada/crawler"}},
            content={"projects": [2]},
        ),
    ),
)
async def receive(call: Call) -> Reply:
    body = await call.read()
    push = decoded(body, Push)
    name = (push.repository.full_name if push.repository else None) or ""
    projects = await call.store.projects.of_repo(name) if name else []
    # In a thread: a large body and many projects take a while.
    given = [match[1].lower() for header in _HEADERS if (match := _SIGNATURE.fullmatch(call.header(header) or ""))]
    signed = await asyncio.to_thread(_signed, projects, body, given) if given else []
    if not signed:
        raise BrokerError("denied", "No project of this repository has a webhook secret that matches the signature")
    if push.ref not in _BRANCHES or not (push.after or "").strip("0"):
        return Reply(message=f"Ignored: only pushes to {' and '.join(_BRANCHES)} count")
    for project in signed:
        await call.store.projects.update(None, project, {"version": push.after})
    return Reply({"projects": signed})


def _signed(projects: list[tuple[int, str]], body: bytes, given: list[str]) -> list[int]:
    """Projects whose secret makes one of the ``given`` signatures of the raw body; SHA-1 or SHA-256 by its length."""
    algorithms = {hashlib.sha1 if len(signature) == _SHA1 else hashlib.sha256 for signature in given}
    return [
        project
        for project, secret in projects
        if any(
            hmac.compare_digest(hmac.new(secret.encode(), body, algorithm).hexdigest(), signature)
            for algorithm in algorithms
            for signature in given
            if secret
        )
    ]
