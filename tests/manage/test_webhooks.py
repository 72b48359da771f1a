"""A push on GitHub, Gitea or Gogs sets the version of the repository's projects."""

from typing import Any

import pytest

from tests.client import Fleet
from tests.manage.webhook_payloads import HEADERS, VERSION, a_project, digest, hook, payload, push, version


@pytest.fixture
def project(fleet: Fleet, repository: str) -> int:
    return a_project(fleet, repository)


def test_a_push_on_github_sets_the_version(fleet: Fleet, project: int, repository: str) -> None:
    body, after = payload("github", repository)
    headers = {
        "User-Agent": "GitHub-Hookshot/044aadd",
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-Hub-Signature": f"sha1={digest(body, algorithm='sha1')}",
        "X-Hub-Signature-256": f"sha256={digest(body)}",
    }

    assert fleet.anybody.post("/git/receivehook", body, headers=headers).content()["projects"] == [project]

    assert version(fleet, project) == after


def test_a_push_on_gitea_sets_the_version(fleet: Fleet, project: int, repository: str) -> None:
    body, after = payload("gitea", repository)
    headers = {
        "Content-Type": "application/json",
        "X-Gitea-Event": "push",
        "X-Gitea-Signature": digest(body),
        "X-Gogs-Event": "push",
        "X-Gogs-Signature": digest(body),
        "X-Hub-Signature": f"sha1={digest(body, algorithm='sha1')}",
        "X-Hub-Signature-256": f"sha256={digest(body)}",
    }

    assert fleet.anybody.post("/git/receivehook", body, headers=headers).status == 200

    assert version(fleet, project) == after


def test_a_push_on_gogs_sets_the_version(fleet: Fleet, project: int, repository: str) -> None:
    body, after = payload("gogs", repository)
    headers = {"Content-Type": "application/json", "X-Gogs-Event": "push", "X-Gogs-Signature": digest(body)}

    assert fleet.anybody.post("/git/receivehook", body, headers=headers).status == 200

    assert version(fleet, project) == after


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    ("form", "algorithm"), [("sha1={}", "sha1"), ("sha256={}", "sha256"), ("{}", "sha1"), ("{}", "sha256")]
)
def test_every_header_takes_both_algorithms(
    fleet: Fleet, repository: str, header: str, form: str, algorithm: str
) -> None:
    project, body = a_project(fleet, repository), push(repository)

    assert hook(fleet.anybody, body, **{header: form.format(digest(body, algorithm=algorithm))}).status == 200

    assert version(fleet, project) == VERSION


def test_a_new_version_reaches_the_next_task_at_once(fleet: Fleet, project: int, repository: str) -> None:
    workers = [fleet.worker(project) for _ in range(4)]
    for worker in workers * 5:
        worker.submit(project)
    for n, worker in enumerate(workers * 5, 1):
        after = f"{n:040x}"
        assert hook(fleet.anybody, push(repository, after=after)).status == 200
        assert version(fleet, project) == after
        assert worker.take(project)["project"]["version"] == after
    listed = fleet.anybody.get("/project/list").content()["projects"]
    assert [one["version"] for one in listed if one["id"] == project] == [f"{20:040x}"]


@pytest.mark.parametrize("ref", ["refs/heads/master", "refs/heads/main"])
def test_the_main_branches_count(fleet: Fleet, project: int, repository: str, ref: str) -> None:
    assert hook(fleet.anybody, push(repository, ref)).status == 200

    assert version(fleet, project) == VERSION


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/not-master",
        "refs/heads/feature/main",
        "refs/heads/main/feature",
        "refs/tags/main",
        "refs/tags/master",
        "refs/heads/Main",
        "refs/heads/develop",
        "refs/heads/main ",
        "refs/heads/main\n",
        "refs/heads/",
        "heads/main",
        "main",
        "",
        None,
    ],
)
def test_every_other_ref_is_ignored(fleet: Fleet, project: int, repository: str, ref: str | None) -> None:
    answer = hook(fleet.anybody, push(repository, ref))

    assert answer.status == 200
    assert "gnored" in answer.message
    assert version(fleet, project) == "before"


@pytest.mark.parametrize("fields", [{"public": True}, {"hidden": True}, {"paused": True}])
def test_a_push_changes_the_version_of_any_project_and_nothing_else(
    fleet: Fleet, project: int, repository: str, fields: dict[str, bool]
) -> None:
    fleet.admin.post(f"/project/update/{project}", {"chain": fleet.project(), "priority": 7, **fields}).content()
    before = fleet.admin.get(f"/project/get/{project}").content()["project"]

    assert hook(fleet.anybody, push(repository)).status == 200

    after = fleet.admin.get(f"/project/get/{project}").content()["project"]
    assert after == {**before, "version": VERSION}


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_the_case_of_a_repository_does_not_matter(fleet: Fleet, project: int, repository: str, change: Any) -> None:
    assert hook(fleet.anybody, push(change(repository))).status == 200

    assert version(fleet, project) == VERSION


def test_each_project_of_a_repository_has_its_own_secret(fleet: Fleet, project: int, repository: str) -> None:
    other = a_project(fleet, repository.upper(), "another secret")
    body = push(repository)

    assert hook(fleet.anybody, body, X_Gogs_Signature=digest(body, "another secret")).status == 200
    assert (version(fleet, project), version(fleet, other)) == ("before", VERSION)
    assert hook(fleet.anybody, push(repository, after="2" * 40)).status == 200
    assert (version(fleet, project), version(fleet, other)) == ("2" * 40, VERSION)


def test_projects_that_share_a_secret_all_move(fleet: Fleet, project: int, repository: str) -> None:
    other = a_project(fleet, repository)

    assert sorted(hook(fleet.anybody, push(repository)).content()["projects"]) == [project, other]

    assert (version(fleet, project), version(fleet, other)) == (VERSION, VERSION)


def test_a_project_that_left_its_repository_hears_of_it_no_more(fleet: Fleet, project: int, repository: str) -> None:
    fleet.admin.post(f"/project/update/{project}", {"git_repo": f"{repository}-2"}).content()

    assert hook(fleet.anybody, push(repository)).status == 403
    assert version(fleet, project) == "before"
    assert hook(fleet.anybody, push(f"{repository}-2")).status == 200
    assert version(fleet, project) == VERSION


def test_a_deleted_project_does_not_come_back(fleet: Fleet, project: int, repository: str) -> None:
    fleet.admin.post(f"/project/delete/{project}").content()

    assert hook(fleet.anybody, push(repository)).status == 403
    assert fleet.anybody.get(f"/project/get/{project}").status == 404


def test_an_old_secret_ends_with_the_new_one(fleet: Fleet, project: int, repository: str) -> None:
    fleet.admin.post(f"/project/webhook_secret/{project}", {"webhook_secret": "new"}).content()
    body = push(repository)

    assert hook(fleet.anybody, body).status == 403
    assert version(fleet, project) == "before"
    assert hook(fleet.anybody, body, X_Gitea_Signature=digest(body, "new")).status == 200
