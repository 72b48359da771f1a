"""What the bench asks of a driver process, and what it gets back, as JSON lines."""

import msgspec


class Worker(msgspec.Struct, frozen=True):
    """As the broker knows it."""

    id: int
    secret: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Load on one server. Closed loop: each connection has one request under way, all the time."""

    port: int
    load: str
    """A name in ``load.LOADS``."""
    seconds: float
    connections: int = 32
    rate: float = 0.0
    """Above 0 an open loop: requests a second, each due at its own moment, whatever has become of those before."""
    calls: int = 0
    """Above 0: stop after so many, even if there is time left."""
    projects: list[int] = []
    workers: list[Worker] = []
    """Connections use them in turn; none are needed for the no-op."""
    host: str = "127.0.0.1"


class Outcome(msgspec.Struct, kw_only=True):
    """What one driver process saw. ``calls`` counts answers of every kind."""

    seconds: float
    calls: int
    tasks: int
    errors: dict[str, int]
    """Status, or what was wrong, to how often."""
    latency: dict[int, int]
    """Buckets of a :class:`~bench.histogram.Histogram`, from when a request was due."""
    late: dict[int, int]
    """Of an open loop the same, for how late the driver itself was to send a request, with a connection free."""
    cpu: float
    """Seconds of this process."""
