"""What the broker checks of a store before it uses it."""

import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from broker.settings import Settings
from broker.store.check import check
from tests.servers import a_server


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_store_that_evicts_tasks_stops_the_start(tmp_path: Path, policy: str) -> None:
    with a_server(tmp_path, "--maxmemory-policy", policy) as port:
        command = [sys.executable, "-m", "broker", "serve", "--port", "0", "--redis-url", f"redis://127.0.0.1:{port}"]
        stopped = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)

    assert stopped.returncode == 1
    line = stopped.stderr.strip().splitlines()[-1]
    assert line.startswith("broker: --redis-url: ")
    assert policy in line
    assert line.endswith("set maxmemory-policy noeviction")


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-ttl"])
async def test_a_store_that_removes_only_what_expires_is_served_from_with_a_warning(
    tmp_path: Path, policy: str
) -> None:
    with a_server(tmp_path, "--maxmemory-policy", policy) as port:
        warnings, _ = await check(Settings(redis_url=f"redis://127.0.0.1:{port}"))

    (warning,) = warnings
    assert policy in warning


async def test_the_policy_is_known_also_when_nobody_may_ask_for_the_settings(tmp_path: Path) -> None:
    with a_server(tmp_path, "--maxmemory-policy", "volatile-lru") as port:
        with Redis(port=port) as redis:
            redis.execute_command("ACL", "SETUSER", "default", "-config")
        warnings, _ = await check(Settings(redis_url=f"redis://127.0.0.1:{port}"))

    (warning,) = warnings
    assert "volatile-lru" in warning


@pytest.mark.parametrize(
    ("given", "advised"),
    [
        (("--hash-max-listpack-value", "64"), ["hash-max-listpack-value 1024"]),
        (
            ("--hash-max-listpack-value", "64", "--set-max-intset-entries", "100"),
            ["hash-max-listpack-value 1024", "set-max-intset-entries 512"],
        ),
        (("--hash-max-listpack-entries", "32"), ["hash-max-listpack-entries 128"]),
        ((), []),
    ],
)
async def test_one_line_says_which_settings_would_save_memory(
    tmp_path: Path, given: tuple[str, ...], advised: list[str]
) -> None:
    with a_server(tmp_path, *given) as port:
        warnings, _ = await check(Settings(redis_url=f"redis://127.0.0.1:{port}"))

    assert len(warnings) == bool(advised)
    for line in warnings:
        assert all(advice in line for advice in advised)
        assert " instead of " in line
