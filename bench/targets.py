"""What the broker should reach, and what of it a results file shows: the table of docs/bench.md."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.figures import Measured, Results, Script

FEW, MANY = "1000", "1000000"
"""Queued tasks for what a script costs, and for how long it takes at worst."""

SINGLE = ("submit 1", "assign 1", "release 1", "assign none", "due", "stats", "snapshot", "drain_begin")
BATCHES = ("submit 500", "assign 500", "release 500", "extend 500", "held 500", "reclaim 100", "drain_step 500")
"""Scripts with a bound for a single call."""

_CORES_FULL = 0.9
"""Of both cores, by server and store: then more processes cannot give more."""

Figure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Row:
    """``must`` and ``aim``: at least so much where ``more`` is better, else at most."""

    what: str
    figure: Figure
    must: float
    aim: float | None = None
    unit: str = ""
    more: bool = False
    others: str = ""
    absolute: Figure = lambda _: None
    """A second number for the reader: calls or tasks a second."""
    excused: Callable[[Results], bool] = lambda _: False
    """Whether it is met in another way."""

    def verdict(self, results: Results) -> str:
        """In words."""
        figure = self.figure(results)
        if figure is None:
            return "not measured"
        if self.aim is not None and self._reaches(figure, self.aim):
            return "met, aim too"
        return "met" if self._reaches(figure, self.must) or self.excused(results) else "not met"

    def _reaches(self, figure: float, wanted: float) -> bool:
        # As it is printed, so that nobody reads "0.38 of 0.38: not met".
        shown = float(self.show(figure))
        return shown >= wanted if self.more else shown <= wanted

    def show(self, figure: float | None) -> str:
        if figure is None:
            return "-"
        return f"{figure:.2f}" if self.must < 10 else f"{figure:.1f}" if self.must < 100 else f"{figure:.0f}"


def _rate(load: str, *, tasks: bool = False) -> Figure:
    """Calls, or tasks, a second to calls of the no-op."""

    def figure(results: Results) -> float | None:
        if results.http is None or load not in results.http.hot:
            return None
        pairs = results.http.hot[load]
        return pairs.ratio(_tasks if tasks else _calls, _calls)

    return figure


def _absolute(load: str, *, tasks: bool = False) -> Figure:
    def figure(results: Results) -> float | None:
        if results.http is None or load not in results.http.hot:
            return None
        pairs = results.http.hot[load]
        return pairs.tasks() if tasks else pairs.calls()

    return figure


def _deep(load: str) -> Figure:
    def figure(results: Results) -> float | None:
        if results.http is None or results.http.queued < int(MANY):
            return None
        return results.http.depth[load].ratio(_calls, _calls)

    return figure


def _python(results: Results) -> float | None:
    if results.http is None:
        return None
    loads = (results.http.hot[load] for load in ("submit", "get_release"))
    return max(pairs.ratio(lambda run: run.server_us, lambda base: base.server_us) for pairs in loads)


def _script(name: str) -> Figure:
    """CPU microseconds a task, with few queued."""

    def figure(results: Results) -> float | None:
        script = _scripts(results, FEW).get(name)
        return script.each() if script else None

    return figure


def _alone(name: str) -> Figure:
    """Microseconds a task in the script itself, with few queued."""

    def figure(results: Results) -> float | None:
        script = _scripts(results, FEW).get(name)
        return script.script_us / (script.tasks or script.calls) if script else None

    return figure


def _worst(names: tuple[str, ...]) -> Figure:
    """Milliseconds of the slowest single call of these scripts, at any size."""

    def figure(results: Results) -> float | None:
        sizes = [_scripts(results, queued) for queued in (FEW, MANY)]
        if not all(sizes):
            return None
        return max(scripts[name].own_worst_us / 1000 for scripts in sizes for name in names)

    return figure


def _scripts(results: Results, queued: str) -> dict[str, Script]:
    return results.scripts.sizes.get(queued, {}) if results.scripts else {}


def _memory(recipe: int) -> Figure:
    return lambda results: results.scripts.memory.get(str(recipe)) if results.scripts else None


def _latency(results: Results) -> float | None:
    return results.http.half.latency["p99"] if results.http else None


def _processes(results: Results) -> float | None:
    return results.http.processes.ratio(_calls, _calls) if results.http else None


def _cores_full(results: Results) -> bool:
    if results.http is None:
        return False
    shares = [run.server_share + run.store_share for run in results.http.processes.runs]
    return sum(shares) / len(shares) >= _CORES_FULL * int(results.machine.get("cores", 2))


def _calls(run: Measured) -> float:
    return run.calls


def _tasks(run: Measured) -> float:
    return run.tasks


ROWS = (
    Row(
        "submit, one task a call, with unique_string",
        _rate("submit"),
        0.38,
        0.45,
        more=True,
        others="Go + Redis queue 0.38, original 0.026",
        absolute=_absolute("submit"),
    ),
    Row(
        "get + release, counted as calls",
        _rate("get_release"),
        0.38,
        0.45,
        more=True,
        others="Go + Redis queue 0.38, original 0.002",
        absolute=_absolute("get_release"),
    ),
    Row(
        "bulk_submit, 1,000 a call, tasks/s",
        _rate("bulk_submit", tasks=True),
        2.2,
        3.0,
        more=True,
        others="original 1.6",
        absolute=_absolute("bulk_submit", tasks=True),
    ),
    Row(
        "get?count=100 + bulk_release of 100, tasks/s",
        _rate("batch", tasks=True),
        1.5,
        2.0,
        more=True,
        absolute=_absolute("batch", tasks=True),
    ),
    Row(
        "submit with 1,000,000 tasks queued, against few",
        _deep("submit"),
        0.9,
        0.97,
        more=True,
        others="original: stalls",
    ),
    Row(
        "get + release with 1,000,000 tasks queued, against few",
        _deep("get_release"),
        0.9,
        0.97,
        more=True,
        others="original: stalls",
    ),
    Row("idle poll, nothing queued", _rate("poll"), 0.45, 0.55, more=True, absolute=_absolute("poll")),
    Row("Python a call, against the no-op's own (CPU time)", _python, 2.2, 1.8, "x"),
    Row("store, the script alone: submit", _alone("submit 1"), 16, 12, "us"),
    Row("store, the script alone: assign", _alone("assign 1"), 16, 12, "us"),
    Row("store, the script alone: release", _alone("release 1"), 12, 9, "us"),
    Row("store, the script alone: bulk_submit, a task", _alone("submit 500"), 8, 6, "us"),
    Row("store, all CPU a call: submit", _script("submit 1"), 16, 12, "us"),
    Row("store, all CPU a call: assign", _script("assign 1"), 16, 12, "us"),
    Row("store, all CPU a call: release", _script("release 1"), 12, 9, "us"),
    Row("store, all CPU a task: bulk_submit", _script("submit 500"), 8, 6, "us"),
    Row("p99 of submit at half the saturation rate, 256 connections", _latency, 10, 5, "ms"),
    Row("memory a queued task with a hash, recipe of 30 bytes", _memory(30), 400, 340, "bytes"),
    Row("memory a queued task with a hash, recipe of 100 bytes", _memory(100), 470, 420, "bytes"),
    Row("memory a queued task with a hash, recipe of 300 bytes", _memory(300), 680, 620, "bytes"),
    Row("any script at any size, one call at worst", _worst(SINGLE), 1, unit="ms"),
    Row("any batch of 500 at any size, one call at worst", _worst(BATCHES), 8, unit="ms"),
    Row(
        "calls/s of two processes to one, or both cores 90 % full",
        _processes,
        1.0,
        unit="x",
        more=True,
        excused=_cores_full,
    ),
)
