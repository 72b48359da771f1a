"""Headers, redirects and caching of every answer of the UI."""

import asyncio
import gzip
import re
from pathlib import Path

import httpx
import pytest
from jinja2 import Template

from broker import charts
from broker.errors import StartError
from broker.web import site
from tests.client import Fleet
from tests.serving import Serving

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def get(fleet: Fleet, path: str, **headers: str) -> httpx.Response:
    """As the admin, with these headers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return fleet.admin.http.get(path, headers=given)


def page(fleet: Fleet, path: str) -> str:
    answer = get(fleet, path)
    assert answer.status_code == 200, answer
    return answer.text


def files(html: str) -> list[str]:
    """What a page loads."""
    return re.findall(r'(?:src|href)="([^"]*static/[^"]+)"', html)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ui/", 200),
        ("/ui/account", 200),
        ("/docs", 200),
        ("/ui/projects/1", 404),
        ("/ui/projects/0", 404),
        ("/ui/projects/99999999999999999999", 404),
        ("/ui/nowhere/at/all", 404),
        ("/ui/static/000000000000/app.css", 200),
        ("/ui/static/000000000000/..%2f..%2fsite.py", 404),
    ],
)
def test_every_answer_of_the_ui_is_guarded(fleet: Fleet, path: str, status: int) -> None:
    if path == "/ui/projects/1":
        path = f"/ui/projects/{10**5 - 1}"
    answer = get(fleet, path)

    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["content-type"].startswith(("text/html", "text/css"))


def test_a_browser_that_came_over_https_is_told_to_stay_there(fleet: Fleet) -> None:
    answer = get(fleet, "/ui/", X_Forwarded_Proto="https")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_pages_are_for_those_who_are_signed_in(fleet: Fleet) -> None:
    anybody = fleet.anybody.http

    for path in ("/ui/projects/1/tasks?state=failed", "/ui/logs", "/ui/projects/new"):
        answer = anybody.get(path)
        assert answer.status_code == 303
        # Relative: a proxy may have put the broker under a path.
        assert re.fullmatch(r"(\./|(\.\./)+)sign-in\?next=[a-z0-9/%A-Z]+", answer.headers["location"])
        assert answer.next_request
        assert answer.next_request.url.path == "/ui/sign-in"
    assert anybody.get("/ui/", headers={"Cookie": "tt=" + "x" * 5000}).status_code == 303
    assert anybody.get("/ui/register").status_code == 200


@pytest.mark.parametrize("path", ["", "/", "/projects/new", "/static/x/app.js"])
def test_the_ui_is_only_read(fleet: Fleet, path: str) -> None:
    answer = fleet.admin.http.post(f"/ui{path}")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    if path:
        assert "Pages can only be read" in answer.text


def test_the_ui_is_found_without_its_slash_and_from_the_root(fleet: Fleet) -> None:
    http = fleet.admin.http

    assert http.get("/ui").headers["location"] == "ui/"
    assert http.get("/", headers={"Accept": "text/html"}).headers["location"] == "/ui/"
    assert http.head("/ui/").content == b""


def test_files_are_kept_for_ever_and_pages_not_at_all(fleet: Fleet) -> None:
    html = page(fleet, "/ui/")
    loaded = files(html)
    assert len(loaded) >= 3

    for name in loaded:
        answer = get(fleet, f"/ui/{name.removeprefix('./')}")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
    assert get(fleet, "/ui/").headers["cache-control"] == "no-store"
    other = get(fleet, "/ui/static/000000000000/app.css", Accept_Encoding="identity")
    assert other.headers["cache-control"] == "no-store"
    assert "content-encoding" not in other.headers
    assert other.content == (Path(site.__file__).parent / "static/app.css").read_bytes()


def test_the_first_page_and_the_largest_are_under_250_kb(fleet: Fleet) -> None:
    library = Path(site.__file__).parent / "static"
    modules = sum(len(gzip.compress(path.read_bytes(), 6)) for path in library.glob("*.*"))
    chart = len(gzip.compress(charts.chart_library().read_bytes(), 6))
    html = len(gzip.compress(page(fleet, f"/ui/projects/{fleet.project()}").encode(), 6))

    assert modules + chart + html < 250_000


def test_both_processes_name_the_same_version(fleet: Fleet, serving: Serving) -> None:
    assert len(serving.servers()) == 2
    versions = set()
    for _ in range(20):
        answer = httpx.get(f"{serving.url}/ui/sign-in", verify=False)
        versions |= {name.split("/")[-2] for name in files(answer.text)}

    assert len(versions) == 1


def test_no_page_has_a_script_or_a_style_of_its_own() -> None:
    for path in (Path(site.__file__).parent / "templates").iterdir():
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), path.name
        assert "|safe" not in text, path.name
    for path in (Path(site.__file__).parent / "static").glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text())


def test_a_form_that_is_sent_before_its_module_is_there_puts_nothing_into_the_address() -> None:
    forms = 0
    for path in (Path(site.__file__).parent / "templates").iterdir():
        for form in re.findall(r"<form .*?</form>", path.read_text(), re.DOTALL):
            if "data-call" in form.partition(">")[0] or 'id="console"' in form:
                forms += 1
                assert 'method="post"' in form.partition(">")[0], path.name
                assert re.search(r"<button [^>]*data-wait[^>]* disabled", form), path.name
    assert forms >= 10


def test_without_chart_js_the_broker_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "find_spec", lambda name: None)

    with pytest.raises(StartError, match="chartkick"):
        charts.chart_library()


def test_a_page_says_that_the_store_is_unavailable(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, redis_url=f"unix://{tmp_path}/nowhere.sock", ready=False)
    serving.wait_for(503)

    answer = httpx.get(f"{serving.url}/ui/sign-in", verify=False)

    assert answer.status_code == 503
    assert "The store is unavailable" in answer.text
    assert serving.stop() == 0


async def test_others_are_served_while_a_long_page_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "_SLICE", 0)
    page = site.Rendered(Template("{% for row in rows %}{{ row }}, {% endfor %}"), {"rows": range(1000)}, 200)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while not page.body:
            turns += 1
            await asyncio.sleep(0)

    await asyncio.gather(page.render_all(), others())

    assert turns > 100
    assert bytes(page.body).startswith(b"0, 1, 2, ")
    assert page.headers["content-length"] == str(len(page.body))
