"""The store becomes a replica under the broker, as when another took over: nothing is done until it is back."""

from pathlib import Path

from redis import Redis

from tests.client import Fleet
from tests.servers import a_server
from tests.serving import Serving, until


def test_a_replica_does_nothing_and_answers_503_until_it_is_the_primary_again(tmp_path: Path) -> None:
    with a_server(tmp_path / "one") as port, a_server(tmp_path / "two") as other:
        serving = Serving.start(tmp_path / "broker", redis_url=f"redis://127.0.0.1:{port}")
        admin = serving.admin()
        fleet = Fleet(serving.url, admin)
        project = fleet.project()
        worker = fleet.worker(project)
        held = [worker.submit(project), worker.submit(project)]
        waiting = worker.submit(project)
        assert [worker.take(project)["id"], worker.take(project)["id"]] == held

        with Redis(port=port) as store, Redis(port=other) as second:
            second.replicaof("127.0.0.1", port)
            until(
                lambda: second.dbsize() == store.dbsize() and second.info("replication")["master_link_status"] == "up"
            )
            second.replicaof("NO", "ONE")
            store.replicaof("127.0.0.1", other)

            for answer in (
                worker.post("/task/submit", {"project": project, "recipe": "r"}),
                worker.get(f"/task/get/{project}"),
                worker.post("/task/release", {"task_id": held[0], "result": 0}),
                admin.post("/project/create", {"name": "new"}),
                fleet.anybody.get("/readyz"),
            ):
                assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "1")

            # What waits is still the same, also once the other has sent its copy.
            until(lambda: store.info("replication")["master_link_status"] == "up")
            store.replicaof("NO", "ONE")

        assert fleet.anybody.get("/readyz").status == 200
        assert [worker.release(task) for task in held] == [True, True]
        assert worker.take(project)["id"] == waiting
        counters = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"]
        assert (counters["submitted"], counters["closed"]) == (3, 2)
        fleet.close()
        assert serving.stop() == 0
