"""Locks on files and directories, which the system takes back when the last process that has the descriptor ends."""

import fcntl
import os
from pathlib import Path


def lock(path: Path) -> int:
    """The descriptor that holds it. Raises :class:`BlockingIOError` when somebody has it, or another :class:`OSError`.

    A directory is locked itself: unlike a file in it, it cannot be deleted while anything is there. Some network file
    systems lock files only; there a directory counts as locked.
    """
    is_directory = path.is_dir()
    descriptor = os.open(path, os.O_RDONLY if is_directory else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not is_directory:
            os.close(descriptor)
            raise
    return descriptor
