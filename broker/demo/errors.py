"""What ends a demo early."""


class DemoError(Exception):
    """Its text is the one line that the user reads."""
