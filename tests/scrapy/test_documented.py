"""The commands of docs/scrapy.md, as a user pastes them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.client import Fleet
from tests.client_library.running import counters
from tests.scrapy.crawls import environment
from tests.scrapy.site import Page, Site

PAGE = Path(__file__).parents[2] / "docs" / "scrapy.md"


@pytest.mark.slow
def test_a_project_of_startproject_crawls(fleet: Fleet, crawled: int, site: Site, tmp_path: Path) -> None:
    made = fleet.admin.post(f"/project/join_tokens/{crawled}", {"assign": True, "submit": True}).content()
    site.pages |= {"/": Page()}
    (_, script) = re.findall(r"```sh\n(pip.*?)\n(scrapy.*?)```", PAGE.read_text(), re.DOTALL)[0]
    script = script.replace('"http://localhost:3010", 1', f'"{fleet.url}", {crawled}').replace(
        "the token", made["token"]
    )
    # genspider makes https of a domain.
    script = script.replace("books.example", f"http://127.0.0.1:{site.port}/")
    script = script.replace("scrapy ", "python -m scrapy ")
    ended = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Spider closed (finished)" in ended.stderr
    assert (site.count("/"), counters(fleet, crawled)["closed"]) == (1, 1)
