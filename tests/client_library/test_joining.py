"""Workers that let themselves in with a join token, and say on which host they run which version."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker import __version__
from broker.client import Access, AsyncClient, Client, ClientError, Refused, Task, Worker
from broker.client.joining import JOIN_TOKEN, JoinTokens, worker_info
from tests.client import Fleet
from tests.client_library.conftest import Producer
from tests.client_library.running import counters, running
from tests.serving import until

FLEET = 300


@pytest.fixture
def boss(fleet: Fleet) -> Iterator[Client]:
    """A client that is signed in as an admin."""
    with Client(fleet.url, patience=0) as client:
        client._http.cookies.set("tt", fleet.admin.http.cookies["tt"])
        yield client


def rows(fleet: Fleet, project: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    return found


async def test_a_fleet_of_300_workers_gets_in_with_one_token(fleet: Fleet, boss: Client, tmp_path: Path) -> None:
    project = fleet.project()
    token = boss.create_join_token(project, assign=True, submit=True, uses=FLEET)
    together = asyncio.Semaphore(20)

    async def starts(number: int) -> tuple[Access, int]:
        """As its first start and a second one."""
        async with together, AsyncClient(fleet.url) as client:
            for _ in range(2):
                await client.identify(tmp_path / f"{number}.json", alias=f"crawler-{number}")
                access = await client.join(project, token)
            await client.submit(project, f"https://example.org/{number}")
            return access, len(await client.get_many(project, count=1))

    started = await asyncio.gather(*(starts(number) for number in range(FLEET)))

    assert started == [(Access(assign=True, submit=True), 1)] * FLEET
    assert sum(row["assign"] and row["submit"] and not row["request"] for row in rows(fleet, project)) == FLEET
    (left,) = fleet.admin.get(f"/project/join_tokens/{project}").content()["tokens"]
    assert left["uses_left"] == 0
    async with AsyncClient(fleet.url) as late:
        await late.identify(tmp_path / "late.json")
        with pytest.raises(Refused, match="used up"):
            await late.join(project, token)


@pytest.fixture(params=["parameter", "variable"])
def join(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str | None]:
    """Gives a worker its tokens: the parameter ``join`` to create it with."""

    def given(tokens: str) -> str | None:
        if request.param == "parameter":
            return tokens
        monkeypatch.setenv(JOIN_TOKEN, tokens)
        return None

    return given


def test_a_worker_joins_each_project_of_its_tokens_at_its_start(
    fleet: Fleet, boss: Client, producer: Producer, tmp_path: Path, join: Callable[[str], str | None]
) -> None:
    first, second = fleet.project(), fleet.project()
    tokens = f"{boss.create_join_token(first)} {boss.create_join_token(second, submit=True)}"
    for project in (first, second):
        producer(project).submit(project)
    worker = Worker(fleet.url, file=tmp_path / "w.json", wait=0, join=join(tokens), version="1.4")

    @worker.task(project=first)
    async def one(task: Task) -> None: ...

    @worker.task(project=second)
    def two(task: Task) -> None:
        worker.blocking.submit(second, "found")

    with running(worker):
        until(lambda: counters(fleet, first)["closed"] == 1 and counters(fleet, second)["closed"] > 1)

    found = boss.worker_info(max(int(row["worker"]["id"]) for row in rows(fleet, first)))
    until(lambda: boss.worker_info(found.id).version is not None)
    shown = boss.worker_info(found.id)
    assert (shown.version, shown.host) == ("1.4", socket.gethostname())
    assert shown.last_seen


def test_a_worker_whose_token_is_no_good_says_so_and_waits_for_a_manager(
    fleet: Fleet, boss: Client, producer: Producer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    producer(project).submit(project)
    token = boss.create_join_token(project, uses=1)
    with Client(fleet.url, boss.create_worker()) as other:
        other.join(project, token)
    worker = Worker(fleet.url, file=tmp_path / "w.json", wait=0, join=token)

    @worker.task(project=project)
    async def crawl(task: Task) -> None: ...

    with running(worker):
        until(lambda: "waits until a manager lets it into" in caplog.text)
        assert f"cannot join project {project}: token: it is used up" in caplog.text
        assert boss.accept_requests(project) == 1
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert token not in caplog.text


def test_managers_accept_some_requests_or_all(fleet: Fleet, boss: Client) -> None:
    project = fleet.project()
    asking = [boss.create_worker() for _ in range(3)]
    for worker in asking:
        with Client(fleet.url, worker) as client:
            assert client.request_access(project) == "requested"

    assert boss.accept_requests(project, [asking[0].id]) == 1
    assert boss.accept_requests(project) == 2
    assert all(not row["request"] for row in rows(fleet, project))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("tbj_7_abc", {7: "tbj_7_abc"}),
        (" tbj_7_abc,\ntbj_12_x-_Y  ", {7: "tbj_7_abc", 12: "tbj_12_x-_Y"}),
    ],
)
def test_a_text_has_several_tokens(text: str, found: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert JoinTokens(text).of_project == found
    monkeypatch.setenv(JOIN_TOKEN, text)
    assert JoinTokens().of_project == found
    assert JoinTokens("").of_project == {}


@pytest.mark.parametrize("text", ["s3cret", "tbj_s3cret", "tbj_0_s3cret", "tbj_1_s3cret!", "tbm_1_s3cret"])
def test_a_text_that_is_no_token_is_not_repeated(text: str) -> None:
    with pytest.raises(ClientError, match="not a join token") as raised:
        Worker("http://localhost:3010", join=text)

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "version", "said"),
    [
        ("node-1", "", f"version=task-broker/{__version__}; host=node-1"),
        ("näh; host=x\r\n", "1;2 ü", "version=1-2-; host=n-h-host=x-"),
        ("h" * 500, "v" * 500, f"version={'v' * 60}; host={'h' * 110}"),
    ],
)
def test_what_a_worker_says_fits_into_the_header(
    host: str, version: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    worker_info.cache_clear()

    assert worker_info(version) == {"X-Worker-Info": said}

    worker_info.cache_clear()
    assert re.fullmatch("[ -~]{1,200}", said)
