"""Calls to the webhook that nobody should make."""

import json

import pytest

from tests.client import Fleet
from tests.manage.webhook_payloads import HEADERS, VERSION, a_project, digest, hook, push, version


@pytest.fixture
def project(fleet: Fleet, repository: str) -> int:
    return a_project(fleet, repository)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        "=",
        "{good}0",
        "sha256={short}",
        "sha256={wrong}",
        "sha1={wrong1}",
        "{other_body}",
        "{no_secret}",
        "None",
        "0" * 64,
        "0" * 40,
        "é" * 64,
        "x" * 10_000,
    ],
)
def test_a_signature_that_is_not_right_changes_nothing(
    fleet: Fleet, project: int, repository: str, header: str, signature: str
) -> None:
    body = push(repository)
    given = signature.format(
        good=digest(body),
        short=digest(body)[:-1],
        wrong=digest(body, "wrong"),
        wrong1=digest(body, "wrong", "sha1"),
        other_body=digest(body + b" "),
        no_secret=digest(body, ""),
    )

    answer = fleet.anybody.post("/git/receivehook", body, headers=[(header.encode(), given.encode("latin-1"))])

    assert (answer.status, answer.code) == (403, "denied")
    assert version(fleet, project) == "before"


def test_no_signature_is_no_reason(fleet: Fleet, project: int, repository: str) -> None:
    assert fleet.anybody.post("/git/receivehook", push(repository)).status == 403
    assert fleet.admin.post("/git/receivehook", push(repository)).status == 403
    assert version(fleet, project) == "before"


def test_it_is_the_raw_body_that_is_signed(fleet: Fleet, project: int, repository: str) -> None:
    body = push(repository)
    spaced = body.replace(b'", "', b'" ,\r\n "') + b"\n\n"
    assert json.loads(spaced) == json.loads(body)

    assert hook(fleet.anybody, spaced, X_Gitea_Signature=digest(body)).status == 403
    assert hook(fleet.anybody, spaced).status == 200
    assert version(fleet, project) == VERSION


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"17",
    b"{",
    b"payload=%7B%7D",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"repository":' * 50_000,
    b'{"repository": null}',
    b'{"repository": "crawlers/site"}',
    b'{"repository": {"full_name": null}}',
    b'{"repository": {"full_name": ""}}',
    b'{"repository": {"full_name": 5}}',
    b'{"repository": {"full_name": ["a"]}}',
    b'{"repository": {"full_name": "\\ud800"}}',
    b'{"repository": {"full_name": "\\u0000"}}',
    b'{"repository": {"full_name": "*"}}',
    b'{"repository": {"full_name": "%s"}}' % (b"x" * 2_000_000),
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:40]))
def test_a_hostile_body_is_refused(fleet: Fleet, project: int, body: bytes) -> None:
    answer = hook(fleet.anybody, body)

    assert (answer.status, answer.code) in {(400, "invalid"), (403, "denied")}
    assert version(fleet, project) == "before"


@pytest.mark.parametrize(
    ("field", "value"),
    [("ref", "5"), ("ref", "[]"), ("after", "5"), ("after", "{}"), ("after", '"\\ud800"'), ("after", "1e400")],
)
def test_a_signed_body_of_wrong_types_is_refused(
    fleet: Fleet, project: int, repository: str, field: str, value: str
) -> None:
    fields = {"ref": '"refs/heads/main"', "after": f'"{VERSION}"', field: value}
    pairs = ",".join(f'"{name}":{text}' for name, text in fields.items())
    body = f'{{{pairs},"repository":{{"full_name":"{repository}"}}}}'.encode()

    answer = hook(fleet.anybody, body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert version(fleet, project) == "before"


@pytest.mark.parametrize("after", ["", None, "0" * 40, "0" * 64], ids=["empty", "null", "deleted", "deleted, SHA-256"])
def test_a_push_without_a_commit_changes_nothing(
    fleet: Fleet, project: int, repository: str, after: str | None
) -> None:
    assert hook(fleet.anybody, push(repository, after=after)).status == 200
    assert version(fleet, project) == "before"


def test_a_body_over_the_limit_is_refused(fleet: Fleet) -> None:
    answer = hook(fleet.anybody, b" " * ((16 << 20) + 1))

    assert (answer.status, answer.code) == (413, "too_large")
