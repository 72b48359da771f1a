"""Ten minutes of everything at a modest rate: afterwards the broker is as large as it was after the first one.

``BROKER_SOAK_SECONDS=60`` tries it in a minute. What a full run measured is in bench/results/soak.txt.
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from tests.faults.project_lifecycle import Lifecycle, Pace
from tests.serving import Serving, until

FULL = 600.0
SECONDS = float(os.environ.get("BROKER_SOAK_SECONDS", FULL))
RATE, CREWS = 500, 6
RESULTS = Path(__file__).parents[2] / "bench" / "results" / "soak.txt"

MAY_GROW = 4 << 10
"""kB of memory of one server process. Even on a busy machine a full run makes 60,000 calls in each: with no more than a
small dictionary left over from each call, of 64 bytes and its values, it would have grown by 8 MB."""


@dataclass
class Level:
    """How large a broker is while nobody calls."""

    memory: dict[str, int]
    """kB of each process."""
    files: dict[str, int]
    keys: Counter[str]
    """Of those that do not expire, by their shape."""
    calls: int

    @classmethod
    def of(cls, serving: Serving, calls: int) -> "Level":
        servers = {f"server process {n}": pid for n, pid in enumerate(sorted(serving.servers()), 1)}
        every = {**servers, "store": serving.store(), "supervisor": serving.process.pid}
        memory = {name: resident(pid) for name, pid in every.items()}
        files = {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in every.items()}
        with Redis(unix_socket_path=str(serving.store_socket()), decode_responses=True) as redis:
            lasting = (key for key in redis.scan_iter(count=1000) if redis.ttl(key) == -1)
            keys = Counter(re.sub(r"\d+", "N", key) for key in lasting)
        return cls(memory, files, keys, calls)

    def __str__(self) -> str:
        lines = [f"{name}: {self.memory[name]:,} kB, {self.files[name]} open files" for name in self.memory]
        return "\n".join(f"  {line}" for line in [*lines, f"{self.keys.total():,} keys that do not expire"])


def resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


class Soak:
    """A broker of two processes, crews that keep it busy, and what is said meanwhile."""

    def __init__(self, serving: Serving, say: Callable[[str], None]) -> None:
        self.serving = serving
        self.say = say
        self.pace = Pace(RATE)
        self.done: Counter[str] = Counter()
        self._crews = [Lifecycle(serving.url, number, self.pace, self.done) for number in range(CREWS)]

    def work(self, seconds: float) -> None:
        until_then = time.monotonic() + seconds

        def shifts(crew: Lifecycle) -> None:
            while time.monotonic() < until_then:
                crew.shift()

        with ThreadPoolExecutor(CREWS) as pool:
            over = threading.Event()
            watching = threading.Thread(target=self._watch, args=(over,))
            watching.start()
            try:
                for crew in [pool.submit(shifts, crew) for crew in self._crews]:
                    crew.result()
            finally:
                over.set()
                watching.join()

    def _watch(self, over: threading.Event) -> None:
        began, before = time.monotonic(), self.pace.calls
        while not over.wait(SECONDS / 40):
            passed, memory = time.monotonic() - began, [resident(pid) for pid in self.serving.servers()]
            calls = self.pace.calls - before
            self.say(
                f"  {passed:4.0f} s, {calls:,} calls, {calls / passed:,.0f} a second, {sum(memory):,} kB in servers"
            )

    def level(self) -> Level:
        """When all connections have been noticed to be closed, and projects that were deleted are gone and counted."""
        until(lambda: self._files() == self._files(1), 30)
        with Redis(unix_socket_path=str(self.serving.store_socket())) as redis:
            until(lambda: not redis.exists("broker:{directory}:changed"), 30)
        level = Level.of(self.serving, self.pace.calls)
        self.say(f"idle after {level.calls:,} calls, {dict(self.done)}:\n{level}")
        return level

    def _files(self, wait: float = 0) -> list[int]:
        time.sleep(wait)
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in self.serving.children()]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    # All crews have one address.
    running = Serving.start(
        tmp_path, workers=2, log_level="warning", login_limit="0", project_limit="0", register_limit="0"
    )
    yield running
    assert running.stop() == 0


@pytest.mark.slow
def test_after_ten_minutes_of_everything_the_broker_is_as_large_as_after_one(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        with capsys.disabled():
            print(text, flush=True)

    say(f"\nsoak of {SECONDS:.0f} s: {CREWS} crews, {RATE} calls a second at most, 2 server processes")
    soak = Soak(serving, say)
    soak.work(SECONDS / 10)
    warm, made = soak.level(), soak.done["workers made"]
    soak.work(SECONDS * 9 / 10)
    end = soak.level()
    # Nothing deletes a worker.
    new_workers = Counter({"broker:{directory}:worker:N": soak.done["workers made"] - made})
    grown = {name: end.memory[name] - warm.memory[name] for name in end.memory}
    say(f"{end.calls - warm.calls:,} calls later: {grown} kB more, but for {new_workers.total()} workers as many keys")
    if SECONDS >= FULL:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(said).strip() + "\n")

    assert end.files == warm.files
    assert end.keys == warm.keys + new_workers
    assert {name: kb for name, kb in grown.items() if name.startswith("server") and kb > MAY_GROW} == {}
    assert serving.log.read_text() == ""
