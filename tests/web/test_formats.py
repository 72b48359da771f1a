"""How values read, at their edges."""

import pytest

from broker.store.monitoring import Snapshot, Stats
from broker.store.projects import UNLIMITED
from broker.web import formats
from broker.web.trends import sparkline, trend


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (-4, "now"),
        (-5, "5 s ago"),
        (-59.9, "59 s ago"),
        (-60, "1 min ago"),
        (-3 * 86_400, "3 d ago"),
        (-4000 * 86_400, "4,000 d ago"),
        (6.2, "in 7 s"),
        (604_799, "in 7 d"),
    ],
)
def test_a_time_is_relative(seconds: float, text: str) -> None:
    assert formats.relative(1_000_000 + seconds, now=1_000_000) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7_500, "2 h 5 min"),
        (86_460, "1 d"),
        (1e6, "11 d 13 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (7_500, "2 h 5 min"), (61_800, "17 h"), (1e6, "12 d")])
def test_an_estimate_is_no_more_exact_than_it_can_be(seconds: float, text: str) -> None:
    assert formats.eta(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(None, "–"), (0, "0/s"), (1234.5, "1,234/s"), (12.345, "12.3/s"), (0.5, "30/min"), (0.001, "3.6/h")],  # noqa: RUF001
)
def test_a_pace_has_the_unit_that_one_can_read(per_second: float | None, text: str) -> None:
    assert formats.pace(per_second) == text


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://git.example/ada", True),
        ("HTTP://git.example", True),
        ("https://git.example:8443?x#y", True),
        ("http://192.0.2.7/ada", True),
        ("http://[2001:db8::7]:80/", True),
        ("https://xn--bcher-kva.example", True),
        ("https://www.broker.example/", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("https://a b.example", False),
        ("https:", False),
        ("http://[bad", False),
        ("//git.example", False),
        ("data:text/html,x", False),
        ("git@git.example:ada/crawler", False),
        # The broker's own host, however a browser may read it.
        ("http://broker.example/manager/promote/2", False),
        ("https://BROKER.example:9999/", False),
        ("http://broker.example./", False),
        ("http://bro%6Ber.example/", False),
        ("http://bro\u212aer.example/", False),
        ("http://\uff42roker.example/", False),
        ("http://broker\u3002example/", False),
        ("http://broker.example\\.git.example/", False),
        ("http:\\\\broker.example/", False),
        ("http:/broker.example/", False),
        ("http\u017f://git.example/", False),
        # User info hides the host.
        ("http://git.example@broker.example/", False),
        ("http://broker.example@git.example/", False),
        ("http://git.example:80@broker.example/", False),
        ("https://ada:secret@git.example/", False),
    ],
)
def test_only_web_pages_elsewhere_become_links(url: str, is_link: bool) -> None:
    assert formats.web_link(url, "broker.example:3010") == (url if is_link else None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:3010"])
@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.0.0.1:80", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.0.0.1."]
)
def test_an_address_is_the_broker_s_own_in_every_spelling(host: str, name: str) -> None:
    assert formats.web_link(f"http://{name}/", host) is None
    assert formats.web_link("http://[0:0:0:0:0:0:0:1]/", "[::1]:3010") is None
    assert formats.web_link("http://git.example/", host) == "http://git.example/"


@pytest.mark.parametrize(
    ("recipe", "pretty"),
    [
        ('{"a":12345678901234567890,"b":1.10}', '{\n  "a": 12345678901234567890,\n  "b": 1.10\n}'),
        ("[1]", "[\n  1\n]"),
        ("{broken", None),
        ("plain", None),
        ('"text"', None),
        ("[" * 100_000, None),
        ("[1]" + " " * (1 << 18), None),
    ],
)
def test_a_recipe_is_indented_if_it_is_json_and_no_number_changes(recipe: str, pretty: str | None) -> None:
    assert formats.pretty(recipe) == pretty


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
            "Safari/605.1.15",
            "Safari on macOS",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_a_browser_is_named_as_people_know_it(agent: str, browser: str) -> None:
    assert formats.browser(agent) == browser


def test_small_words() -> None:
    assert [formats.percent(n, 1000) for n in (0, 1, 126, 999, 1000)] == ["0 %", "<1 %", "13 %", ">99 %", "100 %"]
    assert [formats.count(n, "task") for n in (0, 1, 1000)] == ["0 tasks", "1 task", "1,000 tasks"]
    assert [formats.size(n) for n in (1, 1023, 1024, 1 << 20, 3 << 29)] == [
        "1 byte",
        "1,023 bytes",
        "1.0 kB",
        "1.0 MB",
        "1.5 GB",
    ]
    assert [formats.rate(n) for n in (0, UNLIMITED, 2.5, 1000)] == ["unlimited", "unlimited", "2.5/s", "1,000/s"]
    assert formats.short("x" * 81, 80) == "x" * 79 + "…"
    assert formats.moment(2**63) is None
    assert formats.moment(-(2**63)) is None


def stats(waiting: int, closed: int) -> Stats:
    return Stats(waiting, 0, 0, 0, 0, {"closed": closed})


def point(time: int, closed: int) -> Snapshot:
    return Snapshot(time, 0, 0, closed, 0, 0)


def test_the_pace_is_measured_from_a_snapshot_that_is_old_enough() -> None:
    points = [point(0, 0), point(900, 90), point(995, 100)]

    measured = trend(points, stats(40, 110), now=1000)

    assert measured.pace == pytest.approx(0.2)
    assert measured.since == 900
    assert measured.eta == pytest.approx(200)


@pytest.mark.parametrize("points", [[], [point(995, 100)]])
def test_without_such_a_snapshot_there_is_no_pace(points: list[Snapshot]) -> None:
    assert trend(points, stats(40, 110), now=1000)[:3] == (None, None, None)


def test_nothing_closed_means_no_estimate() -> None:
    assert trend([point(0, 110)], stats(40, 110), now=1000)[:3] == (0, 0, None)
    # A total that fell: the data are from a backup.
    assert trend([point(0, 500)], stats(40, 110), now=1000).pace == 0


def test_a_sparkline_fills_its_box() -> None:
    line = sparkline([point(0, 0), point(100, 0), point(200, 50), point(300, 50)])

    assert line == "0.0,23.0 50.0,1.0 100.0,23.0"
    assert sparkline([point(0, 0), point(100, 5)]) == ""
    assert sparkline([point(0, 7), point(100, 7), point(200, 7)]) == ""
