"""What ends a bench early."""


class BenchError(Exception):
    """Its text is the one line that the user reads."""
