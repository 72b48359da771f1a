"""The store behind TLS and a password: Debian's Redis, since the embedded store's program has no TLS."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from redis import Redis

from tests.client import Fleet
from tests.servers import AS_ADVISED, running
from tests.serving import Serving, free_port, until

pytestmark = pytest.mark.slow

PASSWORD = "p@ss/word"
IN_URL = "p%40ss%2Fword"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Who signs; its certificate's file, beside which the server's own is."""
    made = trustme.CA()
    issued = made.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@contextmanager
def a_redis(authority: Path, folder: Path, *options: str) -> Iterator[int]:
    program = shutil.which("redis-server")
    assert program, "there is no redis-server on PATH"
    port, folder_of = free_port(), authority.parent
    tls = [
        *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cluster", "yes"),
        *("--tls-cert-file", str(folder_of / "cert.pem"), "--tls-key-file", str(folder_of / "key.pem")),
        *("--tls-ca-cert-file", str(authority), "--requirepass", PASSWORD),
    ]
    with running([program, *AS_ADVISED, *tls, *options], folder):
        until(lambda: "Ready to accept connections" in (folder / "server.log").read_text())
        yield port


def works(serving: Serving) -> None:
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    project = fleet.project()
    worker = fleet.worker(project)
    tasks = [worker.submit(project, "r" * 100_000) for _ in range(20)]
    # Over the second connection.
    batch = {"requests": [{"project": project, "recipe": "b"} for _ in range(200)]}
    assert worker.post("/task/bulk_submit", batch).content()["submitted"] == 200
    for task in tasks:
        assert worker.take(project)["id"] == task
        assert worker.release(task)
    fleet.close()


def test_a_broker_works_through_tls(tmp_path: Path, authority: Path) -> None:
    with a_redis(authority, tmp_path / "redis") as port:
        url = f"rediss://:{IN_URL}@localhost:{port}?ssl_ca_certs={authority}"
        serving = Serving.start(tmp_path / "broker", workers=2, redis_url=url)
        works(serving)
        assert serving.stop() == 0
        assert IN_URL not in serving.log.read_text()


def test_a_broker_works_through_tls_on_a_cluster(tmp_path: Path, authority: Path) -> None:
    with a_redis(authority, tmp_path / "redis", "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as port:
        with Redis(port=port, ssl=True, ssl_ca_certs=str(authority), password=PASSWORD) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        url = f"rediss+cluster://:{IN_URL}@localhost:{port}?ssl_ca_certs={authority}"
        serving = Serving.start(tmp_path / "broker", redis_url=url)
        works(serving)
        assert serving.stop() == 0


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_store_whose_certificate_does_not_fit_is_not_spoken_to(tmp_path: Path, authority: Path, wrong: str) -> None:
    (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    trusted = authority if wrong == "name" else tmp_path / "other.pem"
    host = "127.0.0.2" if wrong == "name" else "localhost"
    with a_redis(authority, tmp_path / "redis", "--bind", "127.0.0.1", "127.0.0.2") as port:
        url = f"rediss://:{IN_URL}@{host}:{port}?ssl_ca_certs={trusted}"
        serving = Serving.start(tmp_path / "broker", redis_url=url, ready=False)
        serving.wait_for(503)
        until(lambda: "certificate" in serving.log.read_text())
        assert serving.stop() == 0
