"""The metrics of the broker, in the text format of Prometheus.

Written here because prometheus_client takes ten times as long: with 5,000 projects, calls of workers would wait for
half a second. The tests read them with its parser. docs/operating.md explains each metric.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from broker import __version__
from broker.counters import BOUNDS, Requests, Times
from broker.store.groups import GROUP_STATES
from broker.store.monitoring import TOTALS, Overview, ProjectCount, Stats
from broker.store.redis.scripts import StoreMetrics

TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_CALLS = (
    "Seconds from a call of the store to its answer; the rate of the sum is the average number of calls in progress"
)
_WRITES = "Writes to the store; calls divided by writes is how many calls share one write"
_OLDEST = "Age in seconds of the oldest task among the first tasks of each priority; 0 if no task is waiting"
_OVERDUE = "Seconds that the first delayed task is overdue: its time has passed and it is not waiting yet; 0 if none is"
_STATES = ("waiting", "verifying", "delayed", "assigned", "failed")
_BOUNDS = [f"{bound:g}" for bound in BOUNDS]

Samples = Iterable[tuple[str, float]]
"""Pairs: the suffix and the labels, which follow the metric's name, and the value."""


def _family(name: str, kind: str, text: str, samples: Samples) -> list[str]:
    lines = [f"# HELP broker_{name} {text}.", f"# TYPE broker_{name} {kind}"]
    lines += [f"broker_{name}{labels} {value:.15g}" for labels, value in samples]
    return lines


def _histogram(label: str, times: Times) -> Iterator[tuple[str, float]]:
    below = 0.0
    comma, labels = (",", f"{{{label}}}") if label else ("", "")
    for bound, count in zip([*_BOUNDS, "+Inf"], times.buckets, strict=True):
        below += count
        yield f'_bucket{{{label}{comma}le="{bound}"}}', below
    yield f"_sum{labels}", times.sum
    yield f"_count{labels}", below


def of_processes(requests: Requests, metrics: StoreMetrics) -> list[str]:
    """The counts of the server processes, as lines."""
    routes = requests.totals()
    answered = [
        (f'{{route="{route}",status="{status}"}}', count)
        for route, (statuses, _) in routes.items()
        for status, count in statuses.items()
    ]
    times = [row for route, (_, times) in routes.items() for row in _histogram(f'route="{route}"', times)]
    records = [('{result="hit"}', metrics.record_hits.total), ('{result="miss"}', metrics.record_misses.total)]
    return [
        *_family("info", "gauge", "The version of the broker", [(f'{{version="{__version__}"}}', 1)]),
        *_family(
            "requests_total", "counter", "Requests; 499: the client closed the connection before the answer", answered
        ),
        *_family("request_duration_seconds", "histogram", "Seconds from the headers of a request to its answer", times),
        *_family("requests_in_flight", "gauge", "Requests in progress", [("", requests.in_flight())]),
        *_family("store_call_duration_seconds", "histogram", _CALLS, _histogram("", metrics.calls.total)),
        *_family(
            "store_unanswered_total", "counter", "Calls that the store did not answer", [("", metrics.unanswered.total)]
        ),
        *_family("store_writes_total", "counter", _WRITES, [("", metrics.writes.total)]),
        *_family("worker_records_total", "counter", "Lookups of workers in memory, by result", records),
    ]


def of_store(up: bool, overview: Overview | None) -> list[str]:
    """The state of the store, as lines."""
    families: list[tuple[str, str, str, Samples]] = [
        ("store_up", "gauge", "1 if the store answered, 0 if it did not", [("", up)]),
    ]
    if overview is not None:
        families.append(("projects", "gauge", "Projects", [("", overview.projects)]))
    if overview is not None and overview.memory is not None:
        used, most = overview.memory
        families += [
            ("store_memory_used_bytes", "gauge", "Memory that the store uses", [("", used)]),
            (
                "store_memory_max_bytes",
                "gauge",
                "Memory at which the store refuses new tasks; 0 for no limit",
                [("", most)],
            ),
        ]
    return [line for family in families for line in _family(*family)]


def of_all(sums: list[Stats]) -> list[str]:
    """The sums over all projects, as lines."""

    def total(name: str) -> int:
        return sum(getattr(stats, name) for stats in sums)

    lines = _family("all_tasks", "gauge", "Tasks of all projects, by state", _by_state(total, "", _STATES))
    text = "Groups of tasks of all projects, by state"
    lines += _family("all_groups", "gauge", text, _by_state(total, "groups_", GROUP_STATES))
    text = "Tasks of all projects that failed at their last attempt"
    lines += _family("all_task_errors", "gauge", text, [("", total("errors"))])
    for name, text in TOTALS.items():
        number = sum(stats.counters.get(name, 0) for stats in sums)
        lines += _family(f"all_tasks_{name}_total", "counter", f"{text}, in all projects", [("", number)])
    return lines


def _by_state(number: Callable[[str], int], prefix: str, states: Iterable[str]) -> Samples:
    return ((f'{{state="{state}"}}', number(f"{prefix}{state}")) for state in states)


async def of_projects(counts: list[ProjectCount]) -> list[str]:
    """The numbers of each project, as lines. Other calls are served in between."""
    counted = [(f'{{project="{count.project.id}"', count) for count in counts]
    states: Samples = (
        (f'{label},state="{state}"}}', getattr(count.stats, state)) for label, count in counted for state in _STATES
    )
    lines = _family("tasks", "gauge", "Tasks, by state", states)
    groups: Samples = (
        (f'{label},state="{state}"}}', getattr(count.stats, f"groups_{state}"))
        for label, count in counted
        for state in GROUP_STATES
    )
    lines += _family("groups", "gauge", "Groups of tasks, by state; blocked ones also count as resting or full", groups)
    errors: Samples = ((f"{label}}}", count.stats.errors) for label, count in counted)
    lines += _family("task_errors", "gauge", "Tasks that failed at their last attempt", errors)
    ages: Samples = ((f"{label}}}", count.oldest.waiting or 0) for label, count in counted)
    lines += _family("oldest_waiting_task_seconds", "gauge", _OLDEST, ages)
    overdue: Samples = ((f"{label}}}", count.oldest.delayed or 0) for label, count in counted)
    lines += _family("oldest_delayed_task_seconds", "gauge", _OVERDUE, overdue)
    for total, text in TOTALS.items():
        await asyncio.sleep(0)
        rows = ((f"{label}}}", count.stats.counters.get(total, 0)) for label, count in counted)
        lines += _family(f"tasks_{total}_total", "counter", text, rows)
    return lines
