"""Each question of the bench is asked for a moment, as its command does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import results
from bench.http import HOT
from bench.report import GROUPED, markdown
from bench.results import LONGEST, Results
from bench.scale import LOADS
from bench.scrapy import KINDS as QUEUES
from bench.scripts import RECIPES, REMEMBERED
from bench.targets import BATCHES, ROWS, SINGLE
from bench.turns import KINDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def ask(folder: Path, module: str, *options: str) -> Results:
    command = [sys.executable, "-m", f"bench.{module}", "--results", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.json")
    return results.load(path)


def test_the_table_has_a_figure_in_each_row(tmp_path: Path) -> None:
    ask(tmp_path, "http", "--seconds", "0.1", "--rounds", "1", "--queued", "2000")
    ask(tmp_path, "scripts", "--seconds", "0.1", "--queued", "1000", "--memory-tasks", "5000")
    made = ask(tmp_path, "groups", "--seconds", "0.1", "--groups", "1000", "3000", "--memory-tasks", "5000")

    assert made.http is not None
    assert set(made.http.hot) == set(HOT)
    assert sum(pairs.errors() for pairs in made.http.hot.values()) == 0
    assert made.scripts is not None
    assert made.scripts.sizes["1000"].keys() >= {*SINGLE, *BATCHES}
    assert set(made.scripts.memory) == set(map(str, RECIPES))
    assert set(made.scripts.remembered) == set(REMEMBERED)
    assert made.groups is not None
    assert list(made.groups.sizes) == list(made.groups.plain) == ["1000", "3000"]
    assert made.groups.sizes["3000"].keys() == made.groups.plain["1000"].keys() >= set(GROUPED)
    assert min(made.groups.entries.values()) > 20
    absent = [row.what for row in ROWS if row.figure(made) is None]
    # A row about a million tasks, or any size, is not filled from a few tasks.
    assert len(absent) == 4
    assert all("1,000,000" in what or "any size" in what for what in absent)
    assert markdown(made).count("not measured") == 4


def test_what_grows(tmp_path: Path) -> None:
    sizes = {"queued": ["1000", "2000"], "connections": ["1", "600"], "processes": ["2"]}
    options = [word for name, numbers in sizes.items() for word in (f"--{name}", *numbers)]

    growth = ask(tmp_path, "growth", "--seconds", "0.1", *options).growth

    assert growth is not None
    assert {name: list(getattr(growth, name)) for name in sizes} == sizes
    grown = [*growth.queued.values(), *growth.processes.values(), growth.connections]
    assert [run.errors for loads in grown for run in loads.values() if run.errors] == []


def test_what_many_projects_and_workers_cost(tmp_path: Path) -> None:
    sizes = {"projects": 20, "workers": 50, "active": 6, "limited": 2}
    options = [word for name, number in sizes.items() for word in (f"--{name}", str(number))]

    scale = ask(tmp_path, "scale", "--seconds", "0.2", "--rounds", "1", "--processes", "2", *options).scale

    assert scale is not None
    assert {name: getattr(scale, name) for name in sizes} == sizes
    (crowd,) = scale.processes.values()
    assert crowd.taken.tasks == crowd.taken.of
    assert max(crowd.overdue) < LONGEST
    assert crowd.any.errors == {}
    assert set(crowd.loads) == set(LOADS)
    assert [run.errors for run in crowd.loads.values() if run.errors] == []
    assert [pairs.errors() for pairs in crowd.beside.values()] == [0, 0, 0, 0]
    assert min(page.bytes for page in crowd.pages.values()) > 1000
    assert all(page.later_ms for page in crowd.pages.values())


def test_the_books_of_a_fleet_balance(tmp_path: Path) -> None:
    fleet = ask(tmp_path, "fleet", "--tasks", "200", "--workers", "10", "--processes", "1").fleet

    assert fleet is not None
    assert fleet.wrong == []
    assert (fleet.counters["closed"], fleet.counters["failed"], fleet.counters["reclaimed"]) == (190, 10, 10)


def test_pages_in_one_call_are_compared_with_three(tmp_path: Path) -> None:
    turns = ask(tmp_path, "turns", "--seconds", "0.1", "--rounds", "1").turns

    assert turns is not None
    assert set(turns.pages) == set(KINDS)
    assert all(turns.cost(kind) > 0 for kind in KINDS)


@pytest.mark.parametrize(
    ("command", "row"),
    [
        ("http --seconds 0.1 --rounds 1", r"get_release( +\d+\.\d+ +\d+\.\d+ +\d+\.\d\d){2}"),
        ("scripts --seconds 0.1 --queued 1000", r"assign 1( +\d+\.\d){2} +\d+\.\d\d"),
    ],
)
def test_two_checkouts_are_compared(command: str, row: str) -> None:
    module, *options = command.split()
    asked = [sys.executable, "-m", f"bench.{module}", *options, "--against", str(ROOT)]

    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)

    assert done.returncode == 0, done.stderr
    assert re.search(row, done.stdout), done.stdout


def test_a_folder_without_a_broker_is_no_checkout_to_compare_with(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "bench.http", "--against", str(tmp_path)]

    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)

    assert done.returncode == 2
    assert "no checkout of the broker" in done.stderr


@pytest.mark.parametrize("module", ["http", "scripts", "growth", "scale", "groups", "waiters", "fleet", "report"])
def test_each_command_says_how_it_is_used(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )

    assert f"bench.{module}" in done.stdout


def test_what_a_cluster_costs(tmp_path: Path) -> None:
    cluster = ask(tmp_path, "cluster", "--seconds", "0.1").cluster

    assert cluster is not None
    assert list(cluster.costs) == [
        "one server",
        "one server, with a replica",
        "a cluster of one node",
        "of three",
        "of three, with a replica each",
    ]
    assert all(cost > 0 for costs in cluster.costs.values() for cost in costs)


def test_what_waiting_workers_cost(tmp_path: Path) -> None:
    waiters = ask(tmp_path, "waiters", "--seconds", "1", "--waiters", "100").waiters

    assert waiters is not None
    assert waiters.waiters == 100
    assert 0 < waiters.delay_ms <= waiters.worst_ms


def test_what_workers_cost_that_wait_for_groups(tmp_path: Path) -> None:
    asked = ["--groups", "5000", "--starts", "50", "--waiters", "50", "--processes", "2", "--seconds", "2"]

    waiters = ask(tmp_path, "waiters", *asked).groupwaiters

    assert waiters is not None
    assert (waiters.waiters, waiters.processes) == (50, 2)
    assert waiters.starts == pytest.approx(50, rel=0.2)
    assert 1 <= waiters.asked < 3
    assert 0 < waiters.delay["p50"] <= waiters.delay["max"]


def test_a_spider_with_the_broker_is_compared_with_scrapys_own_queues(tmp_path: Path) -> None:
    scrapy = ask(tmp_path, "scrapy", "--rounds", "1", "--pages", "200").scrapy

    assert scrapy is not None
    assert list(scrapy.runs) == list(QUEUES)
    assert all(run.pages == 200 and run.rate > 1 for (run,) in scrapy.runs.values())
    assert scrapy.share("broker") == 1
