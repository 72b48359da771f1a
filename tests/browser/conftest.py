"""One Chromium and one broker for all stories; Debian's Chromium, or the one that BROKER_TEST_CHROMIUM names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.tab import Tab, signed_in
from tests.browser.town import Town
from tests.serving import Serving

CHROMIUM = os.environ.get("BROKER_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    *(["--no-sandbox"] if os.getuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


# For this package only: while the browser lives, no other test could run an event loop of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        assert os.environ.get("CI") != "true", f"no Chromium at {CHROMIUM}"
        pytest.skip(f"no Chromium at {CHROMIUM}: install it, or name it in BROKER_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def town(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A broker of two server processes, with an admin and projects in every state."""
    serving = Serving.start(tmp_path_factory.mktemp("town"), workers=2)
    made = Town(serving)
    yield made
    made.close()
    assert serving.stop() == 0


@pytest.fixture(scope="package")
def window(browser: Browser, town: Town) -> Iterator[BrowserContext]:
    """The admin's. It keeps what it has read once."""
    opened = signed_in(browser, town.url, town.admin)
    opened.new_page()
    yield opened
    opened.close()


@pytest.fixture
def tab(window: BrowserContext, town: Town) -> Iterator[Tab]:
    opened = Tab(window, town.url)
    yield opened
    opened.close()
