"""What the store counts of its own work, for all server processes."""

from broker.counters import Counter, Counters, Histogram


class Seen:
    def __init__(self, counters: Counters) -> None:
        self.calls = Histogram(counters)
        """How long scripts took, from the call to its answer, refusals among them."""
        self.unanswered = Counter(counters)
        """Calls that the store could not answer."""
        self.writes = Counter(counters)
        """Writes to its connections; each carries one call or more."""
        self.record_hits = Counter(counters)
        """Workers whose record was at hand."""
        self.record_misses = Counter(counters)
