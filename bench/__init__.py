"""How fast the broker is: one module per question, run as ``python -m bench.http`` and so on. See docs/bench.md."""


class BenchError(Exception):
    """Ends a bench early. Its text is the one line that the user reads."""
