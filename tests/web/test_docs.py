"""The page at /docs has every call of the document, for everybody."""

import html
import re

from tests.client import Fleet
from tests.openapi_check import DOCUMENT


def test_the_page_shows_every_call_field_and_code_of_the_document_without_a_session(fleet: Fleet) -> None:
    answer = fleet.anybody.http.get("/docs")
    page = html.unescape(re.sub(r"<[^>]+>", "", answer.text))

    assert answer.status_code == 200
    for path, way in DOCUMENT["paths"].items():
        assert path in page
        for method, told in way.items():
            assert told["summary"] in page
            if method != "head":
                codes = [code for answer in told["responses"].values() for code in answer.get("x-codes", ())]
                assert all(code in page for code in codes)
    for schema in DOCUMENT["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            assert name in page
            assert field.get("description", "").replace("`", "") in page or name in {"code", "rate_limit_delay"}


def test_every_link_of_the_page_leads_somewhere(fleet: Fleet) -> None:
    page = fleet.anybody.http.get("/docs").text

    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page, target
    for path in set(re.findall(r'(?:href|src)="([^"#][^"]*)"', page)):
        assert fleet.anybody.http.get(f"/{path}").status_code in {200, 303}, path


def test_the_page_can_only_be_read(fleet: Fleet) -> None:
    answer = fleet.anybody.http.post("/docs")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
