"""One page of a browser, and the errors that it reports."""

import re

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.client import Caller

expect.set_options(timeout=8_000)

_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


def signed_in(browser: Browser, url: str, manager: Caller | None = None) -> BrowserContext:
    """A new browser context, with the session of ``manager`` if one is given."""
    context = browser.new_context(base_url=url, locale="en-GB", timezone_id="UTC")
    if manager is not None:
        cookie = dict(manager.http.cookies)["tt"]
        context.add_cookies([{"name": "tt", "value": cookie, "url": url, "httpOnly": True, "sameSite": "Strict"}])
    return context


class Tab:
    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self._context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(8_000)
        self.complaints: list[str] = []
        self.refused: list[str] = []
        """Calls that the API has refused: some tests expect them, in others they are a fault."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @classmethod
    def open(cls, browser: Browser, url: str, manager: Caller | None = None, *, clock: bool = False) -> "Tab":
        """In a new browser context, with a clock that :meth:`later` moves if ``clock`` is set."""
        tab = cls(signed_in(browser, url, manager), url)
        if clock:
            tab.page.clock.install()
        return tab

    def _console(self, message: ConsoleMessage) -> None:
        if _REFUSED.match(message.text):
            self.refused.append(message.text)
        elif message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def go(self, place: str = "") -> "Tab":
        self.page.goto(f"/ui/{place}")
        return self

    def at(self, place: str) -> None:
        """Waits until the browser shows this page."""
        expect(self.page).to_have_url(re.compile(rf"^{re.escape(self.url)}/ui/{place}$"))

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def press(self, label: str, *, inside: Locator | None = None) -> None:
        expect(self.page.locator("html[data-ready]")).to_be_attached()
        (inside or self.page).get_by_role("button", name=label, exact=True).click()

    def follow(self, label: str) -> None:
        self.page.get_by_role("link", name=label, exact=True).click()

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text, exact=True).first).to_be_visible()

    def sees_part(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def later(self, seconds: int) -> None:
        """Moves the clock of a tab that was opened with one: timers that are due by then fire now."""
        self.page.clock.fast_forward(seconds * 1000)

    def close(self) -> None:
        """Fails if the page has reported an error."""
        self.page.close()
        if not self._context.pages:
            self._context.close()
        assert self.complaints == []
