"""A clock finer than the millisecond of event loops: a timer of the Linux kernel, as a file to be read from."""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator

_WORD = ctypes.c_long


@contextlib.contextmanager
def ticking(seconds: float, tick: Callable[[], None]) -> Iterator[None]:
    """Calls ``tick`` each so many seconds while the block runs, in the running event loop."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    nanoseconds = int(seconds * 1e9)
    # struct itimerspec: the interval and the first time, each as seconds and nanoseconds.
    spec = (_WORD * 4)(0, nanoseconds, 0, nanoseconds)
    if timer < 0 or libc.timerfd_settime(timer, 0, ctypes.byref(spec), None) < 0:
        raise OSError(ctypes.get_errno(), "no timer")

    def ring() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(timer, 8)
        tick()

    loop = asyncio.get_running_loop()
    loop.add_reader(timer, ring)
    try:
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)
