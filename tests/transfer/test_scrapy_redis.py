"""broker import-scrapy-redis: from what scrapy-redis writes to a crawl that goes on."""

import hashlib
import json
import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from scrapy import Request, Spider
from w3lib.url import canonicalize_url

from broker.cli import main
from tests.client import Fleet
from tests.scrapy.conftest import grant
from tests.scrapy.crawls import Crawl, items
from tests.scrapy.site import Page, linked, served
from tests.serving import Serving


class Shop(Spider):
    def parse_item(self, response: Any) -> None:
        """A callback."""


def fingerprint(request: Request) -> str:
    """As scrapy_redis.dupefilter makes it."""
    data = {"method": request.method, "url": canonicalize_url(request.url), "body": (request.body or b"").hex()}
    return hashlib.sha1(json.dumps(data, sort_keys=True).encode()).hexdigest()


class ScrapyRedis:
    """Writes as scrapy_redis.queue and scrapy_redis.dupefilter do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spider = Shop(name=f"shop-{secrets.token_hex(4)}")
        self.redis = Redis.from_url(url)

    def push(self, request: Request, *, json_list: bool = False) -> None:
        given = request.to_dict(spider=self.spider)
        if json_list:
            plain = {**given, "body": request.body.decode(), "headers": {"Accept": ["text/html"]}}
            self.redis.lpush(f"{self.spider.name}:requests", json.dumps(plain))
        else:
            entry = pickle.dumps(given, protocol=-1)
            self.redis.zadd(f"{self.spider.name}:requests", {entry: -request.priority})
        if not request.dont_filter:
            self.see(request)

    def see(self, request: Request) -> None:
        self.redis.sadd(f"{self.spider.name}:dupefilter", fingerprint(request))


@pytest.fixture
def before(serving: Serving) -> Iterator[ScrapyRedis]:
    scrapy_redis = ScrapyRedis(serving.store_url)
    yield scrapy_redis
    for name in ("requests", "dupefilter", "start_urls"):
        scrapy_redis.redis.delete(f"{scrapy_redis.spider.name}:{name}")
    scrapy_redis.redis.close()


class Command:
    def __init__(self, serving: Serving, before: ScrapyRedis, capture: pytest.CaptureFixture[bytes]) -> None:
        self._options = [before.url, "--redis-url", serving.store_url, "--spider", before.spider.name]
        self._capture = capture

    def imports(self, project: int, *flags: str) -> dict[str, int]:
        code, output, errors = self._run(project, "--json", *flags)
        assert code == 0, errors
        report: dict[str, int] = json.loads(output)
        return report

    def refuses(self, project: int, *flags: str) -> str:
        code, _, errors = self._run(project, *flags)
        assert code == 1
        return errors

    def _run(self, project: int, *flags: str) -> tuple[int, str, str]:
        code = main(["import-scrapy-redis", *self._options, "--project", str(project), *flags])
        output = self._capture.readouterr()
        return code, output.out.decode(), output.err.decode()


@pytest.fixture
def command(serving: Serving, before: ScrapyRedis, capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(serving, before, capsysbinary)


def waiting(fleet: Fleet, project: int) -> list[dict[str, Any]]:
    path = f"/project/tasks/{project}?state=waiting&order=oldest&full=1"
    rows: list[dict[str, Any]] = fleet.admin.get(path).content()["tasks"]
    return rows


def test_pickled_requests_become_tasks_with_all_that_they_have(
    fleet: Fleet, before: ScrapyRedis, command: Command
) -> None:
    project = fleet.project(remember_closed=-1)
    more: Any = {
        "callback": before.spider.parse_item,
        "meta": {"depth": 2},
        "headers": {"Accept": "a"},
        "body": b"\xff",
    }
    before.push(Request("http://a.test/1", priority=2, method="POST", **more))
    before.push(Request("http://b.test/2", dont_filter=True))
    before.push(Request("http://b.test/3", meta={"of": object()}))
    before.see(Request("http://a.test/seen"))
    assert "are pickled: --trust-pickle reads them" in command.refuses(project)
    assert waiting(fleet, project) == []
    report = command.imports(project, "--trust-pickle")
    assert report == {"requests": 2, "known": 2, "duplicates": 1, "before": 0, "left": 1}
    first, second = waiting(fleet, project)
    assert json.loads(first["recipe"]) == {
        "spider": before.spider.name,
        "url": "http://a.test/1",
        "callback": "parse_item",
        "method": "POST",
        "headers": {"Accept": ["a"]},
        "body": "/w==",
        "meta": {"depth": 2},
        "priority": 2,
    }
    assert (first["group"], first["priority"]) == ("a.test", 2)
    assert (second["group"], second["hash64"]) == ("b.test", None)
    assert json.loads(second["recipe"]) == {
        "spider": before.spider.name,
        "url": "http://b.test/2",
        "dont_filter": True,
    }


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


def test_a_pickle_runs_no_code(
    fleet: Fleet, before: ScrapyRedis, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = fleet.project(remember_closed=-1)
    wrong: list[Any] = [Trap(), {"url": Trap()}, [], {"url": 5}, {"url": "no host"}]
    entries = [pickle.dumps(given) for given in wrong]
    for number, entry in enumerate([*entries, b"\x80nothing", b"{", b'{"url": "http://a.test/", "headers": [5]}']):
        before.redis.zadd(f"{before.spider.name}:requests", {entry: number})
    assert command.imports(project, "--trust-pickle")["left"] == 8
    assert not Path("trapped").exists()


@pytest.mark.slow
def test_a_crawl_goes_on_after_the_import_and_repeats_nothing(
    fleet: Fleet, before: ScrapyRedis, command: Command, tmp_path: Path
) -> None:
    project = fleet.project(remember_closed=-1)
    with served({f"/{n}": Page(body=linked(*(f"/{n}" for n in range(8)))) for n in range(8)}) as site:
        for done in range(3):
            before.see(Request(site.url(f"/{done}")))
        for queued in (3, 4):
            before.push(Request(site.url(f"/{queued}")), json_list=True)
        before.redis.lpush(f"{before.spider.name}:start_urls", site.url("/5"), json.dumps({"url": site.url("/6")}))
        report = command.imports(project)
        assert report == {"requests": 4, "known": 3, "duplicates": 2, "before": 0, "left": 0}
        # A second import changes nothing.
        assert command.imports(project)["duplicates"] == 9
        spider = f"""
    name = "{before.spider.name}"

    def parse(self, response):
        yield {{"path": self.path(response)}}
        yield from self.links(response)
"""
        settings = {
            "SCHEDULER": "broker.scrapy.Scheduler",
            "BROKER_URL": fleet.url,
            "BROKER_PROJECT": project,
            "REQUEST_FINGERPRINTER_CLASS": "broker.scrapy.ScrapyRedisFingerprinter",
        }
        crawl = Crawl(tmp_path / "crawl", spider, settings, site.url("/0"))
        grant(fleet, project, crawl)
        assert crawl.wait() == "finished"
    assert items(crawl.folder) == {f"/{n}": 1 for n in range(3, 8)}


def test_what_cannot_be_imported_is_refused_before_anything_is(
    fleet: Fleet, before: ScrapyRedis, command: Command
) -> None:
    project, chained = fleet.project(), fleet.project(remember_closed=-1)
    assert "there is neither" in command.refuses(project)
    before.push(Request("http://a.test/1"), json_list=True)
    assert "has remember_closed 0" in command.refuses(project)
    fleet.admin.post(f"/project/update/{chained}", {"chain": project}).content()
    assert "would chain" in command.refuses(chained)
    fleet.admin.post(f"/project/update/{chained}", {"chain": 0}).content()
    before.redis.delete(f"{before.spider.name}:dupefilter")
    before.redis.sadd(f"{before.spider.name}:dupefilter", "ab" * 20)
    assert "has none of the requests" in command.refuses(chained)
    assert waiting(fleet, chained) == waiting(fleet, project) == []
    assert "No such project" in command.refuses(99_999)
    assert command.imports(project, "--without-dupefilter")["requests"] == 1
