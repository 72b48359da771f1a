"""The programs of docs/crawling.md crawl two sites and one that is down, and obey what the sites ask for."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.client import Client
from tests.client import Fleet
from tests.client_library.running import counters, program, stats
from tests.client_library.site import Reply, served
from tests.client_library.test_documented_programs import accept
from tests.serving import Serving, free_port, until

PAGE = (Path(__file__).parents[2] / "docs" / "crawling.md").read_text()
ACCOUNT = {"username": "admin", "password": "a long password"}
LATE = 0.4
"""Seconds by which a request may come after its task was assigned."""


def python(name: str, address: str) -> str:
    found: str
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if name in block]
    return found.replace("http://localhost:3010", address)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Fleet]:
    serving = Serving.start(tmp_path / "broker")
    fleet = Fleet(serving.url, serving.admin())
    yield fleet
    fleet.close()
    assert serving.stop() == 0


def only_the_dead_site_waits(broker: Fleet) -> bool:
    now = stats(broker, 1)
    return (now["waiting"], now["assigned"], now["failed"]) == (1, 0, 1)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(broker: Fleet, tmp_path: Path) -> Run:
    """Runs a program of the page where the manager's account is."""
    manager = tmp_path / "manager"
    manager.mkdir()
    (manager / "admin.json").write_text(json.dumps(ACCOUNT))
    (manager / "pages.py").write_text(python("pages.py:", broker.url))

    def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", python(name, broker.url), *arguments]
        return subprocess.run(command, cwd=manager, capture_output=True, text=True, check=False, timeout=60)

    return run


def test_each_program_runs(broker: Fleet, run: Run, tmp_path: Path) -> None:
    assert run("project.py").stdout == "1\n"

    with served() as site:
        host = f"127.0.0.1:{site.port}"
        site.replies = {"/": [Reply(200, '<a href="broken">a</a>')], "/broken": [Reply(500)]}
        assert "is requested" in run("start.py", f"http://{host}/").stderr
        accept(broker.admin, 1, "start")
        assert run("start.py", f"http://{host}/").stdout == "1 new, 0 known\n"

        folder = tmp_path / "crawler"
        folder.mkdir()
        (folder / "pages.py").write_text(python("pages.py:", broker.url))
        with program(folder, python("crawler.py", broker.url), host) as crawler:
            accept(broker.admin, 1, "crawler")
            until(lambda: stats(broker, 1)["failed"] == 1, 20)
            assert crawler.end() == 0

    watched = run("watch.py").stdout
    assert f"failed: http://{host}/broken" in watched
    assert watched.splitlines()[-1] == "finished"
    assert run("why.py", host).stdout.splitlines()[-1] == f"1 pages of {host} wait again"
    with Client(broker.url) as client:
        client.login(**ACCOUNT)
        exec(python("remove_group", broker.url).replace("trap.example", host), {"client": client})
        exec(python("max_reclaims", broker.url), {"client": client})
    assert stats(broker, 1)["waiting"] == 0
    assert min(site.pauses()) > 1 - LATE


@pytest.mark.slow
def test_the_crawl_is_polite_and_ends(broker: Fleet, run: Run, tmp_path: Path) -> None:
    assert run("project.py").stdout == "1\n"

    with served() as slow, served() as other:
        slow_host, other_host = f"127.0.0.1:{slow.port}", f"localhost:{other.port}"
        dead_host = f"127.0.0.1:{free_port()}"
        hosts = (slow_host, other_host, dead_host)
        links = "/#top moved.html a.html a.html#here /private/x busy.html http://[ mailto:a@b.example http://c.example/"
        slow.replies = {
            "/robots.txt": [Reply(200, "User-agent: *\nCrawl-delay: 2\nDisallow: /private/\n")],
            "/": [Reply(200, "".join(f'<a href="{link}">a</a>' for link in links.split()))],
            "/a.html": [Reply(200)],
            "/busy.html": [Reply(429, "", {"Retry-After": "4"}), Reply(200)],
            "/moved.html": [Reply(302, "", {"Location": f"http://{other_host}/landing.html"})],
        }
        other.replies = {
            "/landing.html": [
                Reply(200, '<a href="soon.html?a=1&amp;b=2">a</a> <a href="once.html">a</a> <a href="no">a</a>')
            ],
            "/soon.html?a=1&b=2": [Reply(503, "", {"Retry-After": "a date"}), Reply(200)],
            "/once.html": [Reply(500), Reply(200, f'<a href="http://{slow_host}/">a</a> <a href="broken">a</a>')],
            "/broken": [Reply(500)],
        }
        first = [f"http://{slow_host}", f"http://{dead_host}/"]
        assert "is requested" in run("start.py", *first).stderr
        accept(broker.admin, 1, "start")
        assert run("start.py", *first, first[0].upper()).stdout == "2 new, 1 known\n"

        crawler = python("crawler.py", broker.url)
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
            (folder / "pages.py").write_text(python("pages.py:", broker.url))
        with program(folders[0], crawler, *hosts) as one, program(folders[1], crawler, *hosts) as two:
            for running in (one, two):
                until(lambda running=running: "waits until a manager lets it into project 1" in running.text())  # type: ignore[misc]
            accept(broker.admin, 1, "crawler")
            until(lambda: only_the_dead_site_waits(broker), 90)
            watched = run("watch.py").stdout
            with Client(broker.url) as client:
                client.login(**ACCOUNT)
                own = {name: client.group(1, name) for name in hosts}
                step_in = python("remove_group", broker.url).replace("trap.example", dead_host)
                exec(step_in, {"client": client})
                asked = [client.group(1, "example.org").delay, client.group(1, dead_host).waiting]
            until(lambda: stats(broker, 1)["assigned"] == 0)
            end = run("watch.py").stdout
            assert (one.end(), two.end()) == (0, 0)
        why = run("why.py", other_host).stdout.splitlines()
        with Client(broker.url) as client:
            client.login(**ACCOUNT)
            exec(python("max_reclaims", broker.url), {"client": client})
            assert (client.project(1).retry_delay, client.project(1).max_reclaims) == (60, 3)

    assert why[0].startswith("1 x HTTP 500, last at ")
    assert why[-1] == f"1 pages of {other_host} wait again"
    assert f"{dead_host} is blocked until" in watched
    assert "1 tasks to do" in watched
    assert end.splitlines()[-1] == "finished"
    assert f"failed: http://{other_host}/broken" in end
    assert asked == [5, 0]

    assert set(slow.replies) - {request.path for request in slow.seen} == set()
    assert not [request for request in slow.seen if request.path.startswith("/private")]
    once = ["/", "/a.html", "/moved.html"]
    assert [len(slow.times(path)) for path in [*once, "/busy.html"]] == [1, 1, 1, 2]
    assert [len(other.times(path)) for path in other.replies] == [1, 2, 2, 3]
    assert max(len(site.times("/robots.txt")) for site in (slow, other)) <= 2
    assert "/robots.txt" == slow.seen[0].path == other.seen[0].path

    assert (own[slow_host].delay, own[other_host].delay) == (2, 1)
    assert min(slow.pauses()) > 2 - LATE
    assert min(other.pauses()) > 1 - LATE
    refused, _ = slow.times("/busy.html")
    assert not [request for request in slow.seen if refused < request.at < refused + 4]
    assert other.times("/landing.html")[0] - slow.times("/moved.html")[0] > 1
    refused, _ = other.times("/soon.html?a=1&b=2")
    assert not [request for request in other.seen if refused < request.at < refused + 4]
    assert counters(broker, 1)["retried"] >= 1 + 2 + 1, "once.html, broken, and the site that is down"
    assert "Traceback" not in one.text() + two.text()
