"""One Chromium and one broker for all tests of pages; BROKER_TEST_CHROMIUM names another Chromium than Debian's."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab, signed_in
from tests.serving import Serving

# The same engine without windows takes a third of the time.
INSTALLED = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
CHROMIUM = os.environ.get("BROKER_TEST_CHROMIUM", INSTALLED)
ARGUMENTS = [
    *(["--no-sandbox"] if os.getuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Names of their own for the broker and for its neighbours; browsers know localhost and what is below it.
    "--host-resolver-rules=MAP broker.example 127.0.0.1, MAP *.broker.example 127.0.0.1",
]


WITHOUT = not Path(CHROMIUM).exists() and os.environ.get("CI") != "true"
collect_ignore_glob = ["test_*.py"] if WITHOUT else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if WITHOUT:
        terminalreporter.write_line(f"browser tests skipped: no Chromium at {CHROMIUM} (BROKER_TEST_CHROMIUM)")


# For this package only: while the browser lives, no other test could run an event loop of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def sample(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleData]:
    """A broker of two server processes, with an admin and projects in every state."""
    serving = Serving.start(tmp_path_factory.mktemp("sample"), workers=2)
    made = SampleData(serving)
    yield made
    made.close()
    assert serving.stop() == 0


@pytest.fixture(scope="package")
def window(browser: Browser, sample: SampleData) -> Iterator[BrowserContext]:
    """The admin's browser context, which keeps its cache."""
    opened = signed_in(browser, sample.url, sample.admin)
    opened.new_page()
    yield opened
    opened.close()


@pytest.fixture
def tab(window: BrowserContext, sample: SampleData) -> Iterator[Tab]:
    opened = Tab(window, sample.url)
    yield opened
    opened.close()


@pytest.fixture
def timed(browser: Browser, sample: SampleData) -> Iterator[Tab]:
    """A page of the admin in a new browser context, whose clock can be moved."""
    opened = Tab.open(browser, sample.url, sample.admin, clock=True)
    yield opened
    opened.close()
