"""Child processes that never outlive their parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1

_INTERRUPTED = 1.0
"""Seconds that a child has to end after SIGINT."""

_POLL = 0.01
"""Seconds between checks whether the children have ended."""


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """A child in its own session, so that Ctrl-C reaches only us. On Linux, the kernel ends it when this thread ends.

    ``keep``: file descriptors that it inherits. Only a process of one thread may call this: Python code runs between
    fork and exec.
    """
    return subprocess.Popen(
        command,
        env=environment,
        pass_fds=keep,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread, see above
    )


def die_with_parent() -> Callable[[], None] | None:
    """A ``preexec_fn``: the kernel ends the child when the thread that started it ends."""
    if sys.platform != "linux":
        return None
    # Loaded before the fork: after it, little is safe.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def stop(
    children: Sequence["subprocess.Popen[bytes]"], seconds: float, *, hurry: Callable[[], bool] = lambda: False
) -> bool:
    """Sends SIGTERM, and SIGKILL to those that still run after ``seconds``. False when one had to be killed.

    When ``hurry`` returns True, they get SIGINT and have one more second.
    """
    _send(signal.SIGTERM, children)
    deadline, interrupted = time.monotonic() + seconds, False
    while running := [child for child in children if child.poll() is None]:
        if not interrupted and hurry():
            interrupted, deadline = True, min(deadline, time.monotonic() + _INTERRUPTED)
            _send(signal.SIGINT, running)
        if time.monotonic() >= deadline:
            _send(signal.SIGKILL, running)
            for child in running:
                child.wait()
            return False
        time.sleep(_POLL)
    return True


def _send(name: signal.Signals, children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        # Does nothing when the child has ended.
        child.send_signal(name)
