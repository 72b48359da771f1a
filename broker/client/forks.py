"""What a child does first that is forked while a worker runs, as by ``multiprocessing``: it is not the worker."""

import os
import signal
import threading
from collections.abc import Callable

STOPPING = (signal.SIGTERM, signal.SIGINT)
"""The signals that stop a worker."""


class _Forks:
    """``in_child``: what a child does first. If there is anything, no signal reaches a child before that."""

    def __init__(self) -> None:
        self.in_child: set[Callable[[], None]] = set()
        self._masks = threading.local()
        os.register_at_fork(before=self._before, after_in_parent=self._unblock, after_in_child=self._in_child)

    def _before(self) -> None:
        self._masks.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING) if self.in_child else None

    def _unblock(self) -> None:
        if self._masks.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.mask)

    def _in_child(self) -> None:
        for act in list(self.in_child):
            act()
        self.in_child.clear()
        self._unblock()


forks = _Forks()
