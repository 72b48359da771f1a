"""What the client raises, and what the functions of a worker may raise."""


class ClientError(Exception):
    """A call that did not do what was asked.

    ``done``: of a submit of many, the task ids (None for duplicates) of the first tasks, which were taken before.
    """

    done: "list[int | None]"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.done = []


class Refused(ClientError):
    """The broker said no, and did nothing. ``code`` is its stable word; ``delay`` is in seconds, with a 429."""

    def __init__(self, call: str, status: int, code: str | None, message: str | None, delay: float | None) -> None:
        super().__init__(f"the broker refused {call} with {status} {code or ''}: {message or 'no message'}")
        self.status = status
        self.code = code
        self.delay = delay


class Unreachable(ClientError):
    """No answer, or none that says what was done.

    ``sent``: whether the broker may have carried the call out. Such a call was not repeated, or repeated in vain.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Fail(Exception):
    """Raised by a worker's function: this task failed. It goes to a worker again while it has retries left."""


class Skip(Exception):
    """Raised by a worker's function: this task is for another worker, or for later. No retry is counted."""
