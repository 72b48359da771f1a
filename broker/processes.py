"""Starting processes that never outlive us."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1

_HURRY = 1.0
"""Seconds to end in that one gets who is told a second time."""

_LOOK = 0.01
"""Seconds between looks at those that are to end."""


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """A child in a session of its own (Ctrl-C reaches us alone), ended by the kernel when this thread ends (Linux).

    ``keep``: file descriptors that it inherits. Only for processes of one thread: Python runs between fork and exec.
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
    """What a child does between fork and exec, so that the kernel ends it with the thread that started it."""
    if sys.platform != "linux":
        return None
    # Loaded before the fork: little is safe after it.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def stop(
    children: Sequence["subprocess.Popen[bytes]"], seconds: float, *, hurry: Callable[[], bool] = lambda: False
) -> bool:
    """SIGTERM to all, SIGKILL to those that are there after ``seconds``. Whether all went by themselves.

    As soon as ``hurry`` says so they get SIGINT, and one second more.
    """
    _send(signal.SIGTERM, children)
    deadline, hurried = time.monotonic() + seconds, False
    while running := [child for child in children if child.poll() is None]:
        if not hurried and hurry():
            hurried, deadline = True, min(deadline, time.monotonic() + _HURRY)
            _send(signal.SIGINT, running)
        if time.monotonic() >= deadline:
            _send(signal.SIGKILL, running)
            for child in running:
                child.wait()
            return False
        time.sleep(_LOOK)
    return True


def _send(name: signal.Signals, children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        # Not to one that has ended.
        child.send_signal(name)
