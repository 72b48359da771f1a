"""The raw numbers of each question, and the files ``bench/results/<date>-<commit>.json`` in which they are kept.

Everything else is computed from them. Questions asked within some hours share a file.
"""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

import msgspec

from bench import BenchError
from bench.load import PATIENCE
from broker.store.redis.embedded import allocator, binary

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "bench" / "results"

LONGEST = 30.0
"""Seconds after which ``bench.scale`` ends a measurement."""

_TOGETHER = 3_600.0
"""Seconds after which another part begins a file of its own, on another day."""


class Measured(msgspec.Struct, kw_only=True):
    """One run of a load."""

    load: str
    connections: int
    seconds: float
    calls: float
    """A second, as ``tasks``."""
    tasks: float
    errors: dict[str, int]
    latency: dict[str, float]
    """Milliseconds; in a closed loop too low, see docs/bench.md."""
    late: dict[str, float]
    """Milliseconds by which the driver itself was late, in an open loop."""
    server_us: float
    """CPU microseconds a call, of all server processes; ``store_us`` of the store."""
    store_us: float
    server_share: float
    """CPU seconds a second, 1 being a whole core: of the server processes, store, driver, and all other programs."""
    store_share: float
    driver_share: float
    other_share: float
    rewrites: int
    """Of the append-only file, begun meanwhile."""
    rate: float = 0.0
    """Calls a second that an open loop was to send."""


class Pairs(msgspec.Struct):
    """Runs of a load, and of what it is compared with, by turns: each of ``runs`` is between two of ``base``."""

    base: list[Measured]
    runs: list[Measured]

    def ratio(self, value: Callable[[Measured], float], of: Callable[[Measured], float]) -> float:
        """The median over the runs of ``value`` of a run to ``of`` of the base around it."""
        around = zip(self.base, self.base[1:], strict=False)
        pairs = zip(self.runs, around, strict=False)
        return median(value(run) / mean(map(of, both)) for run, both in pairs)

    def median(self, value: Callable[[Measured], float]) -> float:
        return median(map(value, self.runs))

    def calls(self) -> float:
        """A second; the median, as ``tasks``."""
        return self.median(lambda run: run.calls)

    def tasks(self) -> float:
        return self.median(lambda run: run.tasks)

    def errors(self) -> int:
        return sum(sum(run.errors.values()) for run in [*self.base, *self.runs])


class Http(msgspec.Struct, kw_only=True):
    """``bench.http``."""

    hot: dict[str, Pairs]
    """By load; the base is the no-op."""
    depth: dict[str, Pairs]
    """By load, with ``queued`` tasks waiting; the base is a project with few."""
    queued: int
    fill: float
    """Tasks a second at which they were submitted, in bulk."""
    saturated: Measured
    """Submit, closed loop, with the connections of ``half``."""
    half: Measured
    """Submit, open loop, at half of its rate."""
    processes: Pairs
    """Submit with two server processes; the base has one."""


class Curve(msgspec.Struct):
    """``bench.http --curve``: submit, open loop, by rising rate."""

    runs: list[Measured]


class Script(msgspec.Struct, kw_only=True):
    """What one script has cost the store."""

    calls: int = 0
    tasks: int = 0
    script_us: float = 0
    """Microseconds of all calls, from commandstats: from the command's start to its end."""
    cpu_us: float = 0
    """CPU microseconds of the store's main thread meanwhile: with parsing, replying, and the append-only file."""
    p99_us: float = 0
    worst_us: float = 0
    """Of a single call."""
    own_worst_us: float = 0
    """The same without the time for which the store waited for a core meanwhile."""

    def each(self) -> float:
        """CPU microseconds a task, or a call when it is about no task."""
        return self.cpu_us / (self.tasks or self.calls)

    def alone(self) -> float:
        """The same of the script itself."""
        return self.script_us / (self.tasks or self.calls)

    def take_worst(self, other: "Script") -> None:
        self.worst_us = max(self.worst_us, other.worst_us)
        self.own_worst_us = max(self.own_worst_us, other.own_worst_us)


class Scripts(msgspec.Struct, kw_only=True):
    """``bench.scripts``. By the number of queued tasks, as text, and by script."""

    sizes: dict[str, dict[str, Script]]
    memory: dict[str, float]
    """Bytes a queued task, by bytes of its recipe."""
    remembered: dict[str, float] = {}
    """Bytes a hash of a closed task, by how long it is remembered."""


class Growth(msgspec.Struct, kw_only=True):
    """``bench.growth``: by the number of what grows, as text."""

    queued: dict[str, dict[str, Measured]]
    """And by load."""
    connections: dict[str, Measured]
    processes: dict[str, dict[str, Measured]]


class Taken(msgspec.Struct):
    """Tasks that one worker got by asking any project."""

    tasks: int
    of: int
    seconds: float
    calls: int


class Page(msgspec.Struct):
    """None took longer than LONGEST."""

    first_ms: float | None
    later_ms: float | None
    cpu_ms: float
    """CPU of the server and the store, when it was read again."""
    bytes: int


class Crowd(msgspec.Struct, kw_only=True):
    """``bench.scale`` with one number of server processes."""

    idle: float
    """Share of a core that server and store take without calls."""
    taken: Taken
    overdue: list[float]
    """Seconds from the deadline of a task until it waits again."""
    any: Measured
    """Gets of any project."""
    loads: dict[str, Measured]
    """Over all projects that have tasks."""
    beside: dict[str, Pairs]
    """Submits of others, open loop, by the load that is put on meanwhile; the base is without it."""
    pages: dict[str, Page]

    def rows(self) -> Iterator[tuple[str, str]]:
        yield "get from any: CPU a call", f"{self._cpu_ms(self.any):.2f} ms"
        for name, run in self.loads.items():
            yield f"{name}, all active projects: CPU a call", f"{self._cpu_ms(run):.3f} ms"
        yield "no calls: share of a core", f"{self.idle:.3f}"
        yield "deadline passed until it waits again, worst", f"{max(self.overdue):.2f} s"
        taken = self.taken
        done = f"{taken.seconds:.1f} s" if taken.tasks == taken.of else f"> {LONGEST:.0f} s, {taken.tasks:,}"
        yield f"{taken.of} tasks behind limited projects", f"{done} ({taken.calls:,} calls)"
        for name, pairs in self.beside.items():
            p99, errors = median(map(_p99, pairs.runs)), sum(sum(run.errors.values()) for run in pairs.runs)
            wrong = f", {errors} not answered well" if errors else ""
            yield f"others' p99 beside {name}", f"{pairs.ratio(_p99, _p99):.1f} x ({p99:,.1f} ms{wrong})"
        for name, page in self.pages.items():
            times = ", ".join(
                f"{ms:,.0f}" if ms is not None else f"> {LONGEST * 1000:,.0f}" for ms in (page.first_ms, page.later_ms)
            )
            yield (
                f"{name}: first, later (CPU), size",
                f"{times} ({page.cpu_ms:,.0f}) ms, {page.bytes / 1024:,.0f} KiB",
            )

    def _cpu_ms(self, run: Measured) -> float:
        """A call, without what the broker takes without calls."""
        return max(0.0, run.server_share + run.store_share - self.idle) / max(1.0, run.calls) * 1000


def _p99(run: Measured) -> float:
    """Milliseconds; what was not answered took as long as it was waited for, at least."""
    unanswered = run.errors.get("unanswered", 0) > run.calls * run.seconds / 100
    return max(run.latency["p99"], PATIENCE * 1000 if unanswered else 0.01)


class Scale(msgspec.Struct, kw_only=True):
    """``bench.scale``."""

    projects: int
    workers: int
    active: int
    """Projects that have tasks; ``limited`` of these are out of rate."""
    limited: int
    processes: dict[str, Crowd]
    """By the number of server processes, as text."""

    def head(self) -> tuple[str, ...]:
        sizes = f"{self.projects:,} projects, {self.active} with tasks; {self.workers:,} workers"
        return sizes, *(f"{number} process{'es' * (number != '1')}" for number in self.processes)

    def rows(self) -> Iterator[tuple[str, ...]]:
        for cells in zip(*(crowd.rows() for crowd in self.processes.values()), strict=True):
            yield cells[0][0], *(text for _, text in cells)


class Fleet(msgspec.Struct, kw_only=True):
    """``bench.fleet``."""

    workers: int
    tasks: int
    seconds: float
    calls: int
    counters: dict[str, int]
    """As the broker counts."""
    wrong: list[str]
    """What does not balance, and keys that are left."""

    def line(self) -> str:
        wrong = "; ".join(self.wrong[:20]) or "the books balance"
        return (
            f"{self.workers:,} workers, {self.tasks:,} tasks, {self.seconds:.1f} s, "
            f"{self.calls / self.seconds:,.0f} calls/s; {wrong}"
        )


class Cluster(msgspec.Struct):
    """``bench.cluster``."""

    costs: dict[str, list[float]]
    """CPU microseconds a call, of the primaries' main threads; by kind of store, of each round."""

    def ratio(self, kind: str, base: str) -> float:
        """The median over the rounds."""
        return median(one / other for one, other in zip(self.costs[kind], self.costs[base], strict=True))


class Waiters(msgspec.Struct, kw_only=True):
    """``bench.waiters``: gets that wait, with one server process."""

    waiters: int
    bytes_each: int
    """Of the server process."""
    server_share: float
    """Of a core, while all wait in vain; ``store_share`` of the store."""
    store_share: float
    delay_ms: float
    """From the submit of a task to the answer of the one who gets it: the median, and ``worst_ms``."""
    worst_ms: float

    def line(self) -> str:
        return (
            f"{self.waiters:,} gets that wait: {self.bytes_each / 1024:.1f} KiB each, {self.server_share:.1%} of a "
            f"core, the store {self.store_share:.1%}; a task reaches one in {self.delay_ms} ms, "
            f"at worst {self.worst_ms}"
        )


class GroupWaiters(msgspec.Struct, kw_only=True):
    """``bench.waiters --groups``: gets that wait, of a project whose groups rest."""

    waiters: int
    groups: int
    processes: int
    starts: float
    """Tasks that they got, and released, a second."""
    handed_share: list[float]
    """Of a core, of all server processes and of the store, while as many were got and released without waiting."""
    waiting_share: list[float]
    """The same while they waited."""
    scripts: float
    """That the store ran, a task; without waiting two."""
    asked: float
    """How often workers asked the store for a task, for each that they got."""
    delay: dict[str, float]
    """Milliseconds from when a group may start until a worker has the task."""

    def line(self) -> str:
        handed, waiting = (
            f"{sum(shares):.1%} of a core (servers {shares[0]:.1%}, store {shares[1]:.1%})"
            for shares in (self.handed_share, self.waiting_share)
        )
        return (
            f"{self.waiters:,} gets that wait for {self.groups:,} groups, {self.processes} server processes: "
            f"{self.starts:,.0f} tasks a second take {waiting}, without waiting {handed}; {self.scripts:.2f} scripts "
            f"a task, workers ask {self.asked:.2f} times for one; one has it {self.delay['p50']:.1f} ms after "
            f"its group may start, p99 {self.delay['p99']:.1f}, at worst {self.delay['max']:.1f}"
        )


class Groups(msgspec.Struct, kw_only=True):
    """``bench.groups``: by the number of groups, as text, and by script."""

    sizes: dict[str, dict[str, Script]]
    plain: dict[str, dict[str, Script]]
    """The same of as many tasks without a group, by turns."""
    memory: dict[str, float]
    """Bytes a queued task, by how many tasks a group has; 0: tasks without a group."""
    entries: dict[str, float]
    """Bytes of each key or member of a key that a group takes, with as many groups as were measured at most."""

    def ratio(self, count: str, name: str) -> float:
        """What a call costs with so many groups, to what it costs without."""
        return self.sizes[count][name].each() / self.plain[count][name].each()


class Turns(msgspec.Struct):
    """``bench.turns``: pages in one call each; the base is three calls each. ``tasks`` are pages."""

    pages: dict[str, Pairs]
    """By what is said of their links."""

    def cost(self, kind: str) -> float:
        """CPU of the server a page, of three calls'."""
        return self.pages[kind].ratio(_server_us_a_page, _server_us_a_page)

    def lines(self) -> list[str]:
        return [
            f"{kind}: {pairs.tasks():,.0f} pages/s, {pairs.ratio(_pages, _pages):.2f} of three calls'; CPU a page: "
            f"server {pairs.median(_server_us_a_page):.0f} us, {self.cost(kind):.2f} of three calls'; store "
            f"{pairs.median(_store_us_a_page):.0f} us, {pairs.ratio(_store_us_a_page, _store_us_a_page):.2f}"
            for kind, pairs in self.pages.items()
        ]


def _pages(run: Measured) -> float:
    return run.tasks


def _server_us_a_page(run: Measured) -> float:
    return run.server_us * run.calls / run.tasks


def _store_us_a_page(run: Measured) -> float:
    return run.store_us * run.calls / run.tasks


class ScrapyRun(msgspec.Struct):
    """A crawl. ``seconds``: from the first request to the last. ``cpu``: seconds of Scrapy's process."""

    pages: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


class Scrapy(msgspec.Struct):
    """``bench.scrapy``: crawls of one site, by what keeps the requests."""

    runs: dict[str, list[ScrapyRun]]
    """By kind; those of one round have the same index."""

    def share(self, kind: str) -> float:
        """The pages a second with the broker, of those with this kind: the median of the rounds."""
        return median(ours.rate / other.rate for ours, other in zip(self.runs["broker"], self.runs[kind], strict=True))

    def lines(self) -> list[str]:
        return [
            f"{kind}: {median(run.rate for run in runs):,.0f} pages/s, the broker has {self.share(kind):.2f} of them; "
            f"CPU of Scrapy {median(run.cpu / run.pages for run in runs) * 1e3:.2f} ms a page"
            for kind, runs in self.runs.items()
        ]


class Results(msgspec.Struct, kw_only=True):
    """A results file; a question that was not asked is absent."""

    commit: str
    made: str
    machine: dict[str, str]
    versions: dict[str, str]
    seconds: dict[str, float] = {}
    """How long each question took."""
    http: Http | None = None
    curve: Curve | None = None
    scripts: Scripts | None = None
    growth: Growth | None = None
    scale: Scale | None = None
    fleet: Fleet | None = None
    cluster: Cluster | None = None
    waiters: Waiters | None = None
    groupwaiters: GroupWaiters | None = None
    groups: Groups | None = None
    turns: Turns | None = None
    scrapy: Scrapy | None = None


Part = Http | Curve | Scripts | Growth | Scale | Fleet | Cluster | Waiters | GroupWaiters | Groups | Turns | Scrapy


def save(part: Part, seconds: float, folder: Path = FOLDER) -> Path:
    """Puts a part into the file of this commit and day, in place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    commit = _commit()
    path = folder / f"{time.strftime('%Y-%m-%d')}-{commit}.json"
    # A bench that runs over midnight goes on in the file in which it began.
    recent = [old for old in folder.glob(f"*-{commit}.json") if old.stat().st_mtime > time.time() - _TOGETHER]
    path = max(recent, key=lambda old: old.stat().st_mtime, default=path)
    made = Results(commit=commit, made="", machine={}, versions={})
    # What another version of the bench has written is not worth losing a measurement for.
    with suppress(FileNotFoundError, BenchError):
        made = load(path)
    name = type(part).__name__.lower()
    setattr(made, name, part)
    made.made, made.machine, made.versions = time.strftime("%Y-%m-%d %H:%M:%S"), machine(), versions()
    made.seconds[name] = round(seconds, 1)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return path


def load(path: Path) -> Results:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except msgspec.DecodeError as error:
        raise BenchError(f"{path} is not of this version of the bench: {error}") from None


def newest(folder: Path = FOLDER) -> Path:
    """The file that was written last."""
    found = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BenchError(f"no results in {folder}: run make bench")
    return found[-1]


def machine() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    store = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    packages = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "hiredis", "redis")
    chosen = {**allocator(), **os.environ}
    return {
        "python": platform.python_version(),
        "store": store.strip(),
        "its allocator": chosen.get("LD_PRELOAD") or chosen.get("GLIBC_TUNABLES", "as built"),
        **{name: version(name) for name in packages},
    }


def _commit() -> str:
    """Short, with ``-dirty`` when files differ from it; ``unknown`` outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
