"""Pages of other sites, ports and names try to use the admin's session; links and images as well."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.sample_data import SampleData
from tests.client import ManagerCaller
from tests.prometheus import Metrics
from tests.serving import until


class Evil(BaseHTTPRequestHandler):
    """An empty page, which a test fills."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>evil</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def evil_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join(20)
    server.server_close()


# Browsers send no Sec-Fetch-* to a plain-http name, but to localhost.
@pytest.fixture(params=["localhost", "broker.example"])
def host(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["", "evil."], ids=["another port", "a subdomain"])
def evil(request: pytest.FixtureRequest, host: str, evil_port: int) -> str:
    return f"http://{request.param}{host}:{evil_port}/"


@pytest.fixture
def victim(browser: Browser, sample: SampleData, host: str) -> Iterator[BrowserContext]:
    """The admin, signed in at this name of the broker."""
    url = own(sample, host)
    context = browser.new_context()
    cookie = dict(sample.admin.http.cookies)["tt"]
    context.add_cookies([{"name": "tt", "value": cookie, "url": url, "httpOnly": True, "sameSite": "Strict"}])
    yield context
    context.close()


def own(sample: SampleData, host: str) -> str:
    return f"http://{host}:{sample.url.rpartition(':')[2]}"


WAYS = {
    "an image": "url => { const i = new Image(); i.src = url; document.body.append(i); }",
    "an image without a referrer": """url => {
        const i = new Image(); i.referrerPolicy = "no-referrer"; i.src = url; document.body.append(i);
    }""",
    "a script's call": "url => { fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(() => 0); }",
    "a link": "url => { const a = document.createElement('a'); a.href = url; document.body.append(a); a.click(); }",
    "a link without a referrer": """url => {
        const a = document.createElement('a'); a.href = url; a.rel = 'noreferrer'; document.body.append(a); a.click();
    }""",
    "a form": """url => {
        const f = document.createElement('form'); f.method = 'post'; f.action = url;
        document.body.append(f); f.submit();
    }""",
}


def refused(sample: SampleData) -> float:
    """Promotions that the broker has refused. Names below localhost are another site, which sends no cookie at all."""
    metrics, route = Metrics.of(sample.url), "/manager/promote/{id}"
    return sum(metrics("requests_total", route=route, status=status) for status in (401, 403))


def is_refused(sample: SampleData, count: float) -> bool:
    return refused(sample) == count


@pytest.fixture
def other(sample: SampleData) -> ManagerCaller:
    return sample.fleet.manager()


def is_admin(manager: ManagerCaller) -> bool:
    admin: bool = manager.get("/account").content()["manager"]["tracker_admin"]
    return admin


def test_no_other_page_promotes_anybody(
    victim: BrowserContext, sample: SampleData, evil: str, host: str, other: ManagerCaller
) -> None:
    url = f"{own(sample, host)}/manager/promote/{other.id}"
    before = refused(sample)

    for count, (way, script) in enumerate(WAYS.items(), 1):
        page = victim.new_page()
        page.set_default_timeout(8_000)
        page.goto(evil)

        page.evaluate(script, url)
        # An answer that is no image comes to no page: only the broker knows of all of them.
        until(partial(is_refused, sample, before + count))

        assert not is_admin(other), way


def test_an_address_that_is_typed_in_signs_nobody_out(victim: BrowserContext, sample: SampleData, host: str) -> None:
    page = victim.new_page()

    answer = page.goto(f"{own(sample, host)}/logout")

    assert answer
    assert answer.status == 403
    assert sample.admin.get("/account").content()["logged_in"] is True


def test_pages_of_the_broker_work_at_every_name(
    victim: BrowserContext, sample: SampleData, host: str, other: ManagerCaller
) -> None:
    page = victim.new_page()
    page.goto(f"{own(sample, host)}/ui/managers")
    expect(page.locator("html[data-ready]")).to_be_attached()

    for call, admin in (("promote", True), ("demote", False)):
        status = page.evaluate("async path => (await fetch(path)).status", f"../manager/{call}/{other.id}")
        assert (status, is_admin(other)) == (204, admin)
    page.get_by_role("button", name=f"Promote: {other.username}", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status")).to_have_text("Now an admin")

    assert is_admin(other)


def test_a_project_s_repository_is_no_link_to_the_broker(victim: BrowserContext, sample: SampleData, host: str) -> None:
    for url in (
        f"{own(sample, host)}/manager/promote/2",
        f"http://{host}:1/manager/promote/2",
        f"http://git.example@{host}/manager/promote/2",
    ):
        project = sample.fleet.project(clone_url=url, motd=f"See {url}")
        page = victim.new_page()
        page.goto(f"{own(sample, host)}/ui/projects/{project}")
        expect(page.get_by_text(url, exact=True)).to_be_visible()

        links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")

        assert links
        # Links of the broker's own pages are relative.
        assert [link for link in links if re.match("[a-z]+:", link)] == []
        page.close()
