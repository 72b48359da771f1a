"""Scrapy in processes of its own, as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.processes import die_with_parent

OTHER_SCRAPY = "BROKER_TEST_SCRAPY"
"""A folder with another version of Scrapy, which the crawls then use."""

BEGIN = """
import os
import scrapy
from scrapy.exceptions import CloseSpider, DropItem


class Items:
    def process_item(self, item, spider=None):
        with open("items", "ab", buffering=0) as file:
            file.write((item["path"] + "\\n").encode())
        return item


class Site(scrapy.Spider):
    name = "site"
    start_urls = os.environ["START"].split()
    custom_settings = {"ITEM_PIPELINES": {"spider.Items": 300}}

    def path(self, response):
        return response.url.partition(":")[2].partition(":")[2].lstrip("0123456789")

    def links(self, response, **options):
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link, **options)
"""

STOCK = """
    def parse(self, response):
        yield {"path": self.path(response)}
        yield from self.links(response)
"""


class Crawl:
    """A Scrapy process. Its items are lines of the file ``items`` in its folder, which several may share."""

    def __init__(self, folder: Path, spider: str, settings: dict[str, object], start: str, script: str = "") -> None:
        """``script``: a program that runs the spider, with the settings in JSON in $SETTINGS."""
        self.folder = folder
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "spider.py").write_text(BEGIN + spider)
        options = [f"--set={name}={value}" for name, value in settings.items()]
        command = ["-c", script] if script else ["-m", "scrapy", "runspider", "spider.py", *options]
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                stdout=output,
                stderr=output,
                env=environment() | {"START": start, "SETTINGS": json.dumps(settings)},
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread
            )

    def text(self) -> str:
        return self.log.read_text()

    def until(self, true: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"did not happen in time: {self.text()}"
            assert self.process.poll() is None, f"has ended: {self.text()}"
            time.sleep(0.02)

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text()) is not None

    def until_says(self, pattern: str) -> None:
        self.until(lambda: self.says(pattern))

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def wait(self, seconds: float = 120) -> str:
        """Why the spider closed, once it has ended."""
        try:
            assert self.process.wait(seconds) == 0, self.text()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end: {self.text()}") from None
        text = self.text()
        assert "Unhandled" not in text, text
        found = re.search(r"Spider closed \((.*)\)", text)
        assert found, text
        return found[1]

    @property
    def stats(self) -> dict[str, Any]:
        """Those that Scrapy logs when it ends, without times."""
        found = re.findall(r"'([\w/.]+)': (-?[\d.]+|'[^']*')[,}]", self.text())
        return {name: json.loads(value.replace("'", '"')) for name, value in found}


def environment() -> dict[str, str]:
    """In which ``python`` runs the version of Scrapy that is tested."""
    its = {**os.environ, "PYTHONUNBUFFERED": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return its | {"PYTHONPATH": os.environ[OTHER_SCRAPY]} if OTHER_SCRAPY in os.environ else its


def items(folder: Path) -> Counter[str]:
    """How often each page has come through the pipeline of the crawls of this folder."""
    file = folder / "items"
    return Counter(file.read_text().split()) if file.exists() else Counter()
