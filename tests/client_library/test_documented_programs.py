"""The programs of docs/clients.md and of the README run unchanged, except for the broker's address."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.client import verification
from tests.client import Caller, Fleet
from tests.client_library.running import counters, program
from tests.client_library.site import Reply, served
from tests.serving import Serving, free_port, until

ROOT = Path(__file__).parents[2]
CLIENTS = (ROOT / "docs" / "clients.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = {
    "index.html": '<a href="a.html">a</a> <a href="b.html#top">b</a> <a href="https://elsewhere.example/">e</a>',
    "a.html": '<a href="index.html">home</a> <a href="gone.html">gone</a>',
    "b.html": '<a href="a.html">a</a>',
}


def python(text: str, name: str) -> str:
    found: str
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if name in block]
    assert "http://localhost:3010" in found
    return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A broker with the projects 1 and 2 of the documents."""
    serving = Serving.start(tmp_path_factory.mktemp("broker"))
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    assert [fleet.project(remember_closed=-1, group_limit=1, group_delay=0.2), fleet.project()] == [1, 2]
    yield fleet
    fleet.close()
    assert serving.stop() == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a few pages."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in PAGES.items():
        (folder / name).write_text(text)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def accept(admin: Caller, project: int, alias: str) -> None:
    """Waits until this worker has requested access, and accepts it."""

    def asked() -> list[int]:
        accesses = admin.get(f"/project/access_list/{project}").content()["accesses"]
        return [one["worker"]["id"] for one in accesses if one["request"] and one["worker"]["alias"] == alias]

    until(lambda: bool(asked()))
    for worker in asked():
        admin.post(f"/project/accept_request/{project}/{worker}").content()


def test_the_producer_submits_and_the_crawler_crawls(broker: Fleet, site: str, tmp_path: Path) -> None:
    producer = python(CLIENTS, "producer.py").replace("http://localhost:3010", broker.url)
    crawler = python(CLIENTS, "crawler.py").replace("http://localhost:3010", broker.url)

    def produce() -> "subprocess.CompletedProcess[str]":
        lines = f"{site}index.html\n{site}index.html\n"
        return subprocess.run(
            [sys.executable, "-c", producer],
            input=lines,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    first = produce()
    assert (first.returncode, "is requested" in first.stderr) == (1, True)
    accept(broker.admin, 1, "producer")
    assert produce().stdout == "1 new, 1 known\n"
    before = counters(broker, 1)

    with program(tmp_path / "crawler", crawler) as running:
        until(lambda: "waits until a manager lets it into project 1" in running.text())
        accept(broker.admin, 1, "crawler-1")
        until(lambda: counters(broker, 1)["closed"] - before["closed"] == len(PAGES), 20)
        until(lambda: counters(broker, 1)["failed"] == 1)
        assert running.end() == 0

    assert counters(broker, 1)["retried"] == 2  # gone.html, whose third fail was its last


def test_the_crawler_asks_a_site_only_what_and_when_it_may(broker: Fleet, tmp_path: Path) -> None:
    crawler = python(CLIENTS, "crawler.py").replace("http://localhost:3010", broker.url)
    before = counters(broker, 1)

    with served() as site:
        address = f"http://127.0.0.1:{site.port}"
        links = "a.html private/x busy.html moved.html"
        site.replies = {
            "/robots.txt": [Reply(200, "User-agent: *\nDisallow: /private/\nCrawl-delay: 1\n")],
            "/": [Reply(200, "".join(f'<a href="{link}">a</a>' for link in links.split()))],
            "/a.html": [Reply(200)],
            "/busy.html": [Reply(429, "", {"Retry-After": "2"}), Reply(200)],
            "/moved.html": [Reply(302, "", {"Location": "/landing.html"})],
            "/landing.html": [Reply(200)],
        }
        broker.worker(1).submit(1, f"{address}/", unique_string=f"{address}/", group=f"127.0.0.1:{site.port}")
        with program(tmp_path / "crawler", crawler) as running:
            accept(broker.admin, 1, "crawler-1")
            until(lambda: counters(broker, 1)["closed"] - before["closed"] == 6, 30)
            assert running.end() == 0

    assert site.seen[0].path == "/robots.txt"
    assert Counter(request.path for request in site.seen) == dict.fromkeys(site.replies, 1) | {"/busy.html": 2}
    refused, _ = site.times("/busy.html")
    assert not [request for request in site.seen if refused < request.at < refused + 1.7]
    # After robots.txt and the first page, which are one task.
    assert min(site.pauses()[1:]) > 0.6
    assert "Traceback" not in running.text()


def test_every_program_of_a_worker_may_be_imported_by_the_children_that_its_functions_start() -> None:
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        assert not re.search(r"^worker\.run\(\)", page.read_text(), re.MULTILINE), page


def test_two_verifiers_agree(broker: Fleet, site: str, tmp_path: Path) -> None:
    verifier = python(CLIENTS, "verifier.py").replace("http://localhost:3010", broker.url)
    broker.worker(2).submit(2, f"{site}a.html", verification_count=2)

    with program(tmp_path / "a", verifier, "a") as one, program(tmp_path / "b", verifier, "b") as other:
        accept(broker.admin, 2, "a")
        accept(broker.admin, 2, "b")
        until(lambda: counters(broker, 2)["closed"] == 1)
        assert (one.end(), other.end()) == (0, 0)

    assert counters(broker, 2)["voted"] == 2
    assert (tmp_path / "a" / "a.json").exists()


def test_the_worker_of_the_readme_fetches_a_page(broker: Fleet, site: str, tmp_path: Path) -> None:
    text = python(README, "Worker").replace("http://localhost:3010", broker.url)
    submitter = broker.worker(1)
    before = counters(broker, 1)

    with program(tmp_path / "readme", text) as running:
        accept(broker.admin, 1, "crawler-1")
        submitter.submit(1, f"{site}b.html")
        submitter.submit(1, f"{site}missing.html")
        submitter.submit(1, f"http://127.0.0.1:{free_port()}/nobody")
        submitter.submit(1, "no address")
        until(lambda: counters(broker, 1)["closed"] == before["closed"] + 1)
        until(lambda: counters(broker, 1)["failed"] == before["failed"] + 3)
        assert running.end() == 0

    assert "Traceback" not in running.text()
    assert " failed: status 404\n" in running.text()
    assert " failed: no answer: ConnectError(" in running.text()


def test_the_loop_of_other_languages_does_tasks(broker: Fleet, tmp_path: Path) -> None:
    (loop,) = [block for block in re.findall(r"```sh\n(.*?)```", CLIENTS, re.DOTALL) if "while true" in block]
    worker = broker.worker(1)
    worker.submit(1, "echo me")
    before = counters(broker, 1)
    script = f"id={worker.id} secret={worker.secret}\n" + loop.replace("http://localhost:3010", broker.url)

    with (tmp_path / "output").open("w") as output:
        shell = subprocess.Popen(["bash", "-c", script], stdout=output, stderr=output)
    try:
        until(lambda: counters(broker, 1)["closed"] == before["closed"] + 1)
        until(lambda: "updated" in (tmp_path / "output").read_text())
    finally:
        shell.kill()
        shell.wait(10)

    assert (tmp_path / "output").read_text() == 'echo me\n{"ok":true,"content":{"updated":true}}'


def test_the_verification_that_is_documented_is_the_right_one() -> None:
    assert f"`test` gives {verification('test')}." in CLIENTS


def test_the_commands_for_the_shell_run(broker: Fleet, tmp_path: Path) -> None:
    create, *others = re.findall(r"```sh\n(.*?)```", CLIENTS, re.DOTALL)[0].splitlines()
    (tmp_path / "urls.txt").write_text("one\ntwo\none\n")
    (tmp_path / "admin.json").write_text('{"username": "admin", "password": "a long password"}')
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "TASK_BROKER_URL": broker.url, "PATH": path}

    def shell(text: str) -> str:
        return subprocess.check_output(["bash", "-euc", text], text=True, cwd=tmp_path, env=environment, timeout=60)

    assert "access to project 1 is requested" in shell(create)
    accept(broker.admin, 1, "producer")
    output = shell("\n".join(others))

    assert "2 submitted, 1 duplicates\n" in output
    assert "tasks, failed" in output
