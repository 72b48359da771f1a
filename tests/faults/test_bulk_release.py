"""A bulk release of which a part fails says what was carried out."""

from pathlib import Path

from redis import Redis

from tests.client import Fleet
from tests.serving import Serving


def test_a_bulk_release_whose_projects_fail_in_part_says_what_was_carried_out(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    projects = [fleet.project() for _ in range(40)]
    worker = fleet.worker(*projects)
    for project in projects:
        worker.submit(project)
    body = {"requests": [{"task_id": worker.take(project)["id"], "result": 0} for project in projects]}
    with Redis(unix_socket_path=str(serving.store_socket())) as redis:
        kept = redis.dump(key := f"broker:{{project:{projects[20]}}}:assigned")
        redis.set(key, "no sorted set")

        answer = worker.post("/task/bulk_release", body)

        assert (answer.status, answer.code) == (503, "unavailable")
        # The sixteen before, and those that were under way with it; none after.
        done = [n < 32 and n != 20 for n in range(40)]
        assert answer.body["content"]["updated"] == done
        assert answer.message.startswith("Only 31 of 40 releases were carried out: ")
        redis.restore(key, 0, kept, replace=True)
    again = worker.post("/task/bulk_release", body).content()["updated"]
    assert again == [not was for was in done]
    fleet.close()
    assert serving.stop() == 0
