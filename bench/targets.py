"""What the broker should reach, and what of it a results file shows: the table of docs/bench.md."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from bench.load import BULK
from bench.results import Http, Results, Script

FEW, MANY = "1000", "1000000"
"""Queued tasks for what a script costs, and for how long it takes at worst."""

SINGLE = ("submit 1", "assign 1", "release 1", "assign none", "due", "stats", "snapshot", "drain_begin")
BATCHES = ("submit 500", "assign 500", "release 500", "extend 500", "held 500", "reclaim 100", "drain_step 500")
"""Scripts with a bound for a single call."""

_CORES_FULL = 0.9
"""Of both cores, by server and store: then more processes cannot give more."""

Figure = Callable[[Results], float | None]

_calls, _tasks, _server_us = attrgetter("calls"), attrgetter("tasks"), attrgetter("server_us")


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


def _http(figure: Callable[[Http], float | None]) -> Figure:
    return lambda results: figure(results.http) if results.http else None


def _hot(what: str, load: str, must: float, aim: float, others: str = "") -> Row:
    """Calls, or tasks, a second to calls of the no-op."""
    rate = _tasks if what.endswith("tasks/s") else _calls
    return Row(
        what,
        _http(lambda http: http.hot[load].ratio(rate, _calls)),
        must,
        aim,
        more=True,
        others=others,
        absolute=_http(lambda http: http.hot[load].median(rate)),
    )


def _deep(what: str, load: str) -> Row:
    def figure(results: Results) -> float | None:
        http = results.http
        return http.depth[load].ratio(_calls, _calls) if http and http.queued >= int(MANY) else None

    return Row(what, figure, 0.9, 0.97, more=True, others="original: stalls")


def _script(what: str, name: str, cost: Callable[[Script], float], must: float, aim: float) -> Row:
    """Microseconds a task, with few queued."""

    return Row(what, lambda results: cost(of[name]) if (of := _scripts(results, FEW)) else None, must, aim, "us")


def _worst(what: str, names: tuple[str, ...], must: float) -> Row:
    """Milliseconds of the slowest single call of these scripts, at any size."""

    def figure(results: Results) -> float | None:
        few, many = _scripts(results, FEW), _scripts(results, MANY)
        return max(of[name].own_worst_us / 1000 for of in (few, many) for name in names) if few and many else None

    return Row(what, figure, must, unit="ms")


def _memory(recipe: int, must: float, aim: float) -> Row:
    what = f"memory a queued task with a hash, recipe of {recipe} bytes"
    return Row(
        what, lambda results: results.scripts.memory[str(recipe)] if results.scripts else None, must, aim, "bytes"
    )


def _remembered(how_long: str, must: float, aim: float) -> Row:
    what = f"memory a hash that is remembered {how_long}"
    return Row(
        what, lambda results: results.scripts.remembered.get(how_long) if results.scripts else None, must, aim, "bytes"
    )


def _grouped(each: int, must: float, aim: float) -> Row:
    what = f"memory a queued task in groups of {each}, hash, recipe of 100 bytes"
    return Row(
        what, lambda results: results.groups.memory.get(str(each)) if results.groups else None, must, aim, "bytes"
    )


def _scripts(results: Results, queued: str) -> dict[str, Script]:
    return results.scripts.sizes.get(queued, {}) if results.scripts else {}


def _server(what: str, load: str, must: float, aim: float) -> Row:
    """CPU of the server a call, to that of a call of the no-op."""

    def figure(http: Http) -> float | None:
        # Results of an older bench may not have this load.
        return http.hot[load].ratio(_server_us, _server_us) if load in http.hot else None

    return Row(f"server, CPU a call against the no-op's: {what}", _http(figure), must, aim, "x")


def _of_bulk(http: Http) -> float:
    return http.hot["bulk_submit"].median(_server_us) / BULK


def _cores_full(results: Results) -> bool:
    if results.http is None:
        return False
    shares = [run.server_share + run.store_share for run in results.http.processes.runs]
    return sum(shares) / len(shares) >= _CORES_FULL * int(results.machine.get("cores", 2))


ROWS = (
    _hot("submit, one task a call, with unique_string", "submit", 0.38, 0.45, "Go + Redis queue 0.38, original 0.026"),
    _hot("get + release, counted as calls", "get_release", 0.38, 0.45, "Go + Redis queue 0.38, original 0.002"),
    _hot("bulk_submit, 1,000 a call, tasks/s", "bulk_submit", 2.2, 3.0, "original 1.6"),
    _hot("get?count=100 + bulk_release of 100, tasks/s", "batch", 1.5, 2.0),
    _deep("submit with 1,000,000 tasks queued, against few", "submit"),
    _deep("get + release with 1,000,000 tasks queued, against few", "get_release"),
    _hot("idle poll, nothing queued", "poll", 0.45, 0.55),
    _server("submit", "submit", 1.5, 1.25),
    _server("get + release", "get_release", 1.6, 1.3),
    _server("turn, one of each", "turn_of_one", 1.8, 1.5),
    Row("server, CPU a task: bulk_submit, 1,000 a call", _http(_of_bulk), 3.0, 2.5, "us"),
    Row(
        "server, CPU a call of a submit: two processes against one",
        _http(lambda http: http.processes.ratio(_server_us, _server_us)),
        1.1,
        1.05,
        "x",
    ),
    _script("store, the script alone: submit", "submit 1", Script.alone, 16, 12),
    _script("store, the script alone: assign", "assign 1", Script.alone, 16, 12),
    _script("store, the script alone: release", "release 1", Script.alone, 12, 9),
    _script("store, the script alone: bulk_submit, a task", "submit 500", Script.alone, 8, 6),
    _script("store, all CPU a call: submit", "submit 1", Script.each, 16, 12),
    _script("store, all CPU a call: assign", "assign 1", Script.each, 16, 12),
    _script("store, all CPU a call: release", "release 1", Script.each, 12, 9),
    _script("store, all CPU a task: bulk_submit", "submit 500", Script.each, 8, 6),
    Row(
        "p99 of submit at half the saturation rate, 256 connections",
        _http(lambda http: http.half.latency["p99"]),
        4.5,
        3,
        "ms",
    ),
    _memory(30, 400, 340),
    _memory(100, 245, 220),
    _memory(300, 680, 620),
    _remembered("for ever", 12, 9.5),
    _remembered("for a time", 22, 18),
    _grouped(100, 215, 190),
    _grouped(5, 285, 250),
    _worst("any script at any size, one call at worst", SINGLE, 1),
    _worst("any batch of 500 at any size, one call at worst", BATCHES, 8),
    Row(
        "calls/s of two processes to one, or both cores 90 % full",
        _http(lambda http: http.processes.ratio(_calls, _calls)),
        1.0,
        unit="x",
        more=True,
        excused=_cores_full,
    ),
)
