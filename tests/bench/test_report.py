"""The table, the verdicts and the chart, from made-up numbers."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from bench import BenchError, results
from bench.histogram import Histogram
from bench.report import markdown, reach
from bench.results import Curve, Fleet, Pairs
from bench.targets import Row
from tests.bench.sample_results import made_up, measured

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("figure", "more", "verdict"),
    [
        (0.5, True, "met, aim too"),
        (0.38, True, "met"),
        (0.3751, True, "met"),  # printed as 0.38
        (0.37, True, "not met"),
        (0.38, False, "met, aim too"),
        (0.4, False, "met"),
        (0.46, False, "not met"),
        (None, True, "not measured"),
    ],
)
def test_a_row_is_judged_in_words(figure: float | None, more: bool, verdict: str) -> None:
    must, aim = (0.38, 0.45) if more else (0.45, 0.38)

    row = Row("a row", lambda _: figure, must, aim, more=more)

    assert row.verdict(made_up()) == verdict


def test_a_row_may_be_met_in_another_way() -> None:
    row = Row("a row", lambda _: 0.9, 1.0, more=True, excused=lambda _: True)

    assert row.verdict(made_up()) == "met"


def test_a_ratio_is_to_the_base_before_and_after_it() -> None:
    pairs = Pairs([measured(calls) for calls in (100, 300, 100, 300)], [measured(calls) for calls in (100, 20, 50)])

    assert pairs.ratio(lambda run: run.calls, lambda base: base.calls) == pytest.approx(0.25)


def test_the_table_names_every_row_with_its_goal() -> None:
    table = reach(made_up())

    assert "| submit, one task a call, with unique_string | 0.40 (4,000/s) | 0.38 | 0.45 | met | Go + Redis" in table
    assert "| store, all CPU a call: assign | 11.0 us | 16 us | 12 us | met, aim too |  |" in table
    assert "| memory a hash that is remembered for ever | 10.0 bytes | 12 bytes | 9.5 bytes | met |  |" in table
    assert "| any script at any size, one call at worst | 2.00 ms | 1 ms |  | not met |  |" in table


def test_a_page_in_one_call_is_compared_with_three_calls() -> None:
    text = markdown(made_up())

    assert "- all 10 links new: 6,000 pages/s, 1.50 of three calls'; CPU a page: server 20 us, 1.00 of" in text


def test_what_groups_cost_is_compared_with_tasks_without() -> None:
    text = markdown(made_up())

    assert "| 1,000 | assign 1 | 11.0 | 11.0 | 1.00 |" in text
    assert "| 1,000,000 | assign 1 | 22.0 | 11.0 | 2.00 |" in text
    assert "| memory a queued task in groups of 100, hash, recipe of 100 bytes | 200 bytes | 215 bytes |" in text
    assert "| a task in groups of 5 | 200 |" in text
    assert "| a ticket | 120 |" in text


def test_what_takes_too_long_is_said_to_take_longer() -> None:
    text = markdown(made_up())

    assert "| 10,000 projects, 100 with tasks; 100,000 workers | 1 process | 2 processes |" in text
    assert "| get from any: CPU a call | 1.00 ms | 1.00 ms |" in text
    assert "| 200 tasks behind limited projects | 12.0 s (300 calls) | > 30 s, 150 (300 calls) |" in text
    assert "| others' p99 beside a load | 1.0 x (4.0 ms) | 1.0 x (4.0 ms) |" in text
    assert "| overview: first, later (CPU), size | 100, 50 (20) ms, 2 KiB | 100, 50 (20) ms, 2 KiB |" in text
    assert "| workers: first, later (CPU), size | > 30,000, > 30,000 (0) ms, 0 KiB" in text


def test_doubtful_numbers_are_named() -> None:
    made = made_up()
    assert made.http is not None
    made.http.hot["submit"].runs[0].errors = {"500": 7}
    made.http.hot["poll"].runs[0].driver_share = 0.95
    made.http.hot["batch"].runs[0].other_share = 2.0

    text = markdown(made)

    assert "submit: 7 wrong answers: {'500': 7}" in text
    assert "poll: the driver was busy all the time" in text
    assert "batch: other programs took 0.67 of a core" in text


def test_the_report_is_written_beside_the_results(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-01-abc.json"
    path.write_bytes(msgspec.json.encode(made_up()))

    done = subprocess.run(
        [sys.executable, "-m", "bench.report", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert path.with_suffix(".md").read_text() == done.stdout.removesuffix("\n")
    assert "the books balance" in done.stdout
    assert path.with_suffix(".png").exists() == (find_spec("matplotlib") is not None)


def test_parts_of_one_day_share_a_file(tmp_path: Path) -> None:
    fleet, curve = Fleet(workers=1, tasks=1, seconds=1, calls=1, counters={}, wrong=[]), Curve([measured(10)])

    path = results.save(fleet, 3, tmp_path)
    assert results.save(curve, 4, tmp_path) == path

    made = results.load(results.newest(tmp_path))
    assert (made.fleet, made.curve) == (fleet, curve)
    assert made.seconds == {"fleet": 3, "curve": 4}
    assert made.versions["python"]


def test_a_file_of_another_version_is_replaced(tmp_path: Path) -> None:
    path = results.save(Curve([measured(10)]), 4, tmp_path)
    path.write_text('{"commit": 1}')

    with pytest.raises(BenchError, match="not of this version"):
        results.load(path)
    assert results.save(Curve([measured(10)]), 4, tmp_path) == path
    assert results.load(path).curve is not None


def test_without_results_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="run make bench"):
        results.newest(tmp_path)


def test_percentiles_are_right_to_two_percent() -> None:
    histogram, other = Histogram(), Histogram()
    for value in range(1, 501):
        histogram.add(value * 1_000_000)
        other.add((value + 500) * 1_000_000)

    histogram.merge(dict(other.buckets))

    shown = histogram.summary()
    assert [shown[name] for name in ("p50", "p99", "p99.9", "max")] == pytest.approx([500, 990, 999, 1000], rel=0.02)
    assert Histogram().percentile(50) == 0
