"""The dashboard of docs/grafana.json: each of its queries finds something in a Prometheus that reads a broker."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Fleet, WorkerCaller
from tests.serving import Serving, free_port, until

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"].replace("$job", "broker").replace("[5m]", "[1m]")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
PROMETHEUS = shutil.which("prometheus")

pytestmark = pytest.mark.skipif(not PROMETHEUS and not os.environ.get("CI"), reason="prometheus is not installed")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """It has read a broker with a task in each state, whose store has a maximum of memory, for some seconds."""
    folder = tmp_path_factory.mktemp("grafana")
    serving = Serving.start(folder / "broker", maxmemory="1gb")
    fleet = Fleet(serving.url, serving.admin())
    project = fleet.project()
    worker = fleet.worker(project)
    scrape = {"job_name": "broker", "static_configs": [{"targets": [serving.url.removeprefix("http://")]}]}
    # JSON is YAML.
    settings = {"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"}, "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    port = free_port()
    command = [str(PROMETHEUS), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, verify=False) as client:
            until(lambda: has_read(client), 30)
            # A rate needs two counts that differ.
            until(lambda: works(worker, project) and all(bool(asked(client, rate)) for rate in RATES), 60)
            yield client
    finally:
        running.terminate()
        running.wait(20)
        fleet.close()
        assert serving.stop() == 0


RATES = [
    "rate(broker_all_tasks_closed_total[1m]) > 0",
    'rate(broker_requests_total{route="/task/release"}[1m]) > 0',
    'rate(broker_requests_total{status="400"}[1m]) > 0',
]


def works(worker: WorkerCaller, project: int) -> bool:
    """Leaves tasks that wait and that have failed."""
    for group in ("", "a", "b"):
        worker.submit(project, "r", group=group)
    worker.release(worker.take(project)["id"], 1)
    worker.release(worker.take(project)["id"])
    return worker.post("/task/submit", {}).status == 400


def asked(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/query", params={"query": query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def has_read(client: httpx.Client) -> bool:
    try:
        # While it loads its data, it answers 503.
        ready = client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
    return ready and bool(asked(client, "broker_info"))


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_finds_something(prometheus: httpx.Client, name: str) -> None:
    found = asked(prometheus, QUERIES[name])

    assert found, QUERIES[name]
    # Of a route that nobody has called there is no latency.
    assert {one["value"][1] for one in found} - {"NaN"}, QUERIES[name]


def test_the_dashboard_asks_for_its_source_and_job_and_no_two_panels_overlap() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["source", "job"]
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
