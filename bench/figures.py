"""The raw numbers of each question, as they stand in a results file. Everything else is computed from them."""

from collections.abc import Callable
from statistics import mean, median

import msgspec


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

    def calls(self) -> float:
        """A second; the median, as ``tasks``."""
        return median(run.calls for run in self.runs)

    def tasks(self) -> float:
        return median(run.tasks for run in self.runs)

    def spread(self) -> float:
        """The fastest of the base to the slowest: 1 on a quiet machine."""
        return max(run.calls for run in self.base) / min(run.calls for run in self.base)

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

    calls: int
    tasks: int
    script_us: float
    """Microseconds of all calls, from commandstats: from the command's start to its end."""
    cpu_us: float
    """CPU microseconds of the store's main thread meanwhile: with parsing, replying, and the append-only file."""
    p99_us: float
    worst_us: float
    """Of a single call."""
    own_worst_us: float
    """The same without the time for which the store waited for a core meanwhile."""

    def each(self) -> float:
        """CPU microseconds a task, or a call when it is about no task."""
        return self.cpu_us / (self.tasks or self.calls)


class Scripts(msgspec.Struct, kw_only=True):
    """``bench.scripts``. By the number of queued tasks, as text, and by script."""

    sizes: dict[str, dict[str, Script]]
    memory: dict[str, float]
    """Bytes a queued task, by bytes of its recipe."""


class Scale(msgspec.Struct, kw_only=True):
    """``bench.scale``: by the number of what grows, as text."""

    queued: dict[str, dict[str, Measured]]
    """And by load."""
    projects: dict[str, dict[str, Measured]]
    idle: dict[str, float]
    """Share of a core that server and store take with so many projects and no calls."""
    connections: dict[str, Measured]
    processes: dict[str, dict[str, Measured]]


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
    scale: Scale | None = None
    fleet: Fleet | None = None
    cluster: Cluster | None = None
    waiters: Waiters | None = None
