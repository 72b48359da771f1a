"""Latencies in buckets that widen with the value: no list of a million numbers, and none is off by more than 1.6 %."""

from collections import Counter

_FINE = 6
"""Each power of two is divided into 2^6 buckets."""


class Histogram:
    """Of nanoseconds. ``buckets``: number of a bucket to how many fell into it."""

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()

    def add(self, value: int) -> None:
        # On the driver's hot path: no call to another function of ours.
        shift = value.bit_length() - _FINE - 1
        self.buckets[(shift << _FINE) + (value >> shift) if shift > 0 else value] += 1

    def merge(self, buckets: dict[int, int]) -> None:
        self.buckets.update(buckets)

    def percentile(self, percent: float) -> float:
        """Milliseconds that ``percent`` of the values did not exceed; 0 when there are none."""
        wanted = self.buckets.total() * percent / 100
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return _upper(bucket) / 1e6
        return 0.0

    def summary(self) -> dict[str, float]:
        """Milliseconds: p50, p99, p99.9 and the largest."""
        named = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
        return {name: round(self.percentile(percent), 4) for name, percent in named.items()}


def _upper(bucket: int) -> int:
    """The largest value, in nanoseconds, that falls into a bucket."""
    if bucket < 2 << _FINE:
        return bucket
    shift = (bucket >> _FINE) - 1
    return ((bucket - (shift << _FINE) + 1) << shift) - 1
