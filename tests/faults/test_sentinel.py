"""A primary that a sentinel watches dies in the middle of a fleet's work: its replica goes on."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from broker.store.redis.embedded import binary
from tests.client import Caller
from tests.faults.fault_injection import Ledger, endure
from tests.servers import a_server, running, until_it_answers
from tests.serving import Serving, free_port, until

pytestmark = pytest.mark.slow

DOWN_AFTER = 1.0
"""Seconds of silence after which the sentinel takes the primary for dead."""


@contextmanager
def a_sentinel(folder: Path, primary: int) -> "Iterator[int]":
    port = free_port()
    folder.mkdir()
    # It writes down in this file what it learns.
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\n"
        f"sentinel monitor main 127.0.0.1 {primary} 1\n"
        f"sentinel down-after-milliseconds main {round(DOWN_AFTER * 1000)}\n"
        "sentinel failover-timeout main 3000\n"
    )
    with running([binary(), str(folder / "sentinel.conf"), "--sentinel"], folder):
        until_it_answers(f"redis://127.0.0.1:{port}")
        yield port


@dataclass
class Watched:
    """A primary, its replica, and the sentinel that watches both."""

    primary: int
    replica: int
    sentinel: int
    client: Any

    def replaced(self) -> bool:
        return bool(self.client.sentinel_get_master_addr_by_name("main")[1] == self.replica)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with (
        a_server(tmp_path / "one") as first,
        a_server(tmp_path / "two", "--replicaof", f"127.0.0.1 {first}") as second,
        a_sentinel(tmp_path / "sentinel", first) as sentinel,
        Redis(port=sentinel, decode_responses=True) as client,
        Redis(port=second, decode_responses=True) as replica,
    ):
        until(lambda: len(client.sentinel_slaves("main")) == 1, 20)
        # Until then it takes a second to load a copy of nothing, and all that was written meanwhile would be lost.
        until(lambda: replica.info("replication")["master_link_status"] == "up", 20)
        yield Watched(first, second, sentinel, client)


def process_on(port: int) -> int:
    """The process that serves there."""
    with Redis(port=port) as client:
        return int(client.info("server")["process_id"])


def a_broker(folder: Path, sentinels: str) -> tuple[Serving, Caller]:
    """Of two processes, and its admin."""
    serving = Serving.start(folder, workers=2, redis_url=f"redis+sentinel://{sentinels}/main")
    admin = serving.admin()
    return serving, admin


def test_a_sentinels_failover_is_followed(tmp_path: Path, watched: Watched) -> None:
    # One of the sentinels is not there.
    serving, admin = a_broker(tmp_path / "broker", f"127.0.0.1:{free_port()},127.0.0.1:{watched.sentinel}")
    killed: list[float] = []

    def kill(ledger: Ledger, serving: Serving) -> None:
        ledger.until_submitted(200)
        os.kill(process_on(watched.primary), signal.SIGKILL)
        killed.append(time.monotonic())
        until(watched.replaced, 20)
        ledger.until_submitted(len(ledger.submitted) + 100)

    ledger = endure(serving, admin, kill, gap=lambda: (killed[0] - 1, killed[0] + 1))

    print(f"refused for {ledger.longest_refusal:.1f} s, down after {DOWN_AFTER} s")
    assert ledger.longest_refusal < DOWN_AFTER + 5
    assert serving.stop() == 0


def test_a_primary_that_lives_and_is_replaced_is_left(tmp_path: Path, watched: Watched) -> None:
    serving, admin = a_broker(tmp_path / "broker", f"127.0.0.1:{watched.sentinel}")
    handed: list[float] = []

    def hand_over(ledger: Ledger, serving: Serving) -> None:
        ledger.until_submitted(200)
        watched.client.execute_command("SENTINEL", "FAILOVER", "main")
        until(watched.replaced, 20)
        handed.append(time.monotonic())
        ledger.until_submitted(len(ledger.submitted) + 100)

    endure(serving, admin, hand_over, gap=lambda: (handed[0] - 5, handed[0] + 5))

    assert serving.stop() == 0
