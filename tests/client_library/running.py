"""Workers that run in a thread of the test, or as a program of their own."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.client import Worker
from tests.client import Fleet


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """Runs the worker in a thread. Raises the error that ended it."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


class Program:
    """A Python program; what it prints is in ``output``."""

    def __init__(self, folder: Path, text: str, *arguments: str) -> None:
        folder.mkdir(exist_ok=True)
        self.output = folder / "output"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", text, *arguments],
                cwd=folder,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def text(self) -> str:
        return self.output.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def program(folder: Path, text: str, *arguments: str) -> Iterator[Program]:
    """Kills the program in the end, if it still runs."""
    started = Program(folder, text, *arguments)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(10)


def stats(fleet: Fleet, project: int) -> dict[str, int]:
    """How many of the project's tasks are in each state."""
    found: dict[str, int] = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    return found


def counters(fleet: Fleet, project: int) -> Counter[str]:
    """The totals of the project's events."""
    return Counter(fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"])
