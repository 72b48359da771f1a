"""``broker redis-cli`` leads to the store that the broker uses, whatever kind it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clusters import a_cluster
from tests.servers import a_server
from tests.serving import free_port


def redis_cli(url: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "broker", "redis-cli", "--redis-url", url, *words]
    its = {**os.environ, **environment}
    return subprocess.run(
        command, check=False, env=its, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )


@pytest.fixture
def pretended(tmp_path: Path) -> dict[str, str]:
    """A redis-cli that only prints its arguments."""
    program = tmp_path / "redis-cli"
    program.write_text('#!/bin/sh\necho "$REDISCLI_AUTH|$*"\n')
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("unix:///run/store.sock", "|-s /run/store.sock GET a b"),
        ("redis://a:7000/2", "|-h a -p 7000 -n 2 GET a b"),
        ("redis://user:p%40ss@a", "p@ss|-h a -p 6379 --user user GET a b"),
        ("rediss://a?ssl_ca_certs=/ca.pem", "|-h a -p 6379 --tls --cacert /ca.pem GET a b"),
        ("rediss+cluster://a:7000,b?ssl_cert_reqs=none", "|-h a -p 7000 -c --tls --insecure GET a b"),
    ],
)
def test_the_url_becomes_options_and_the_password_is_not_among_them(
    pretended: dict[str, str], url: str, called: str
) -> None:
    assert redis_cli(url, "GET", "a b", **pretended).stdout == called + "\n"


def test_sentinels_are_asked_for_the_primary(tmp_path: Path, pretended: dict[str, str]) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/main"

    nobody = redis_cli(url, "PING", **pretended)

    assert nobody.returncode == 1
    assert nobody.stderr == "broker: --redis-url: No master found for 'main', and not every sentinel answers\n"


def test_commands_on_the_store_say_in_one_short_line_that_no_sentinel_answers() -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/main"

    export = subprocess.run(
        [sys.executable, "-m", "broker", "export", "--project", "1", "--redis-url", url],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert export.returncode == 1
    assert export.stderr == (
        "broker: --redis-url: the store does not answer: No master found for 'main', and not every sentinel answers\n"
    )


def test_a_cluster_is_asked_where_a_project_is(tmp_path: Path) -> None:
    with a_cluster(tmp_path / "cluster", primaries=2, replicas=0) as nodes:
        found = [redis_cli(nodes.url, "INCR", f"broker:{{project:{n}}}") for n in (1, 2, 3)]

    assert [one.stdout for one in found] == ["1\n"] * 3


def test_a_single_server_is_asked_what_it_is(tmp_path: Path) -> None:
    with a_server(tmp_path / "one") as port:
        assert redis_cli(f"redis://127.0.0.1:{port}/3", "PING").stdout == "PONG\n"
