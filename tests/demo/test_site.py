"""The site: which links are left, what can be reached, and what is served."""

import asyncio

import httpx
import pytest

from broker.demo.site import Host, Site

PAGES = {
    "index.html": b'<a href="a.html">a</a> <a href="_private.html#x">gone</a> <a\nhref="topic?key=or">or</a>',
    "a.html": b'<a name="top"></a><a href="#top">up</a> <a href="index.html#a">index</a> <a href="http://elsewhere/">e</a>',
    "topic?key=or": b"<p>no links</p>",
    "island.html": b'<a href="a.html">a</a>',
}


def test_links_to_pages_that_are_not_served_are_taken_out_and_others_stay_as_they_are() -> None:
    site = Site(PAGES)

    assert site.pages["index.html"] == b'<a href="a.html">a</a> <a>gone</a> <a\nhref="topic?key=or">or</a>'
    assert site.pages["a.html"] == PAGES["a.html"]


def test_the_walk_finds_what_the_first_page_leads_to_and_nothing_else() -> None:
    assert Site(PAGES).walk() == {"index.html", "a.html", "topic?key=or"}


async def _get(site: Site, path: str) -> httpx.Response:
    async with site.serve(), httpx.AsyncClient(trust_env=False) as http:
        return await http.get(site.url(path))


def test_a_page_is_served_by_its_host_with_links_that_name_the_host_of_each_page() -> None:
    site = Site(PAGES)
    response = asyncio.run(_get(site, "index.html"))

    assert response.status_code == 200
    assert response.text == (
        f'<a href="{site.url("a.html")}">a</a> <a>gone</a> <a\nhref="{site.url("topic?key=or")}">or</a>'
    )
    assert asyncio.run(_get(site, "a.html")).text == PAGES["a.html"].decode().replace(
        "index.html", site.url("index.html")
    )


def test_both_hosts_have_pages_and_none_is_on_both() -> None:
    async def served() -> list[set[str]]:
        async with site.serve():
            return [set(host.pages) for host in site.hosts]

    site = Site({f"module{number}.html": b"" for number in range(400)})
    first, second = asyncio.run(served())

    assert first | second == site.pages.keys()
    assert not first & second
    assert len(second) == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize("path", ["", "_private.html", "a.html/", "topic?key=and"])
def test_anything_else_is_not_found(path: str) -> None:
    assert asyncio.run(_get(Site(PAGES), path)).status_code == 404


def _visit(host: Host, *times: float) -> None:
    for now in times:
        host.receive("a.html", now)
        host.answered()


def test_a_host_counts_what_is_asked_at_once_and_in_the_busiest_second() -> None:
    host = Host(delay=0.5, limit=1)
    _visit(host, 0, 0.6, 1.1, 1.2, 1.5, 3)
    assert host.measured() == {"at once": (1, 1), "in a second": (4, 4)}

    _visit(host, 3.1, 3.2, 3.3, 3.4)
    assert host.measured()["in a second"] == (5, 4)

    host.receive("a.html", 9)
    host.receive("a.html", 9.3)
    assert host.measured()["at once"] == (2, 1)


def test_a_host_that_is_busy_says_for_how_long_and_counts_who_comes_nevertheless() -> None:
    host = Host(delay=0.5, limit=1, busy=2)
    host.pages |= {"a.html": b"a", "b.html": b"b"}
    _visit(host, 0, 0.5)
    assert "after its 429" not in host.measured()

    assert host.receive("a.html", 1) == ("429 Too Many Requests\r\nRetry-After: 2", b"")
    assert host.measured()["after its 429"] == (0, 1)
    assert host.receive("a.html", 2.5) == ("429 Too Many Requests\r\nRetry-After: 1", b"")
    _visit(host, 2.9)
    assert host.measured()["after its 429"] == (2, 1)

    assert host.receive("a.html", 3) == ("200 OK", b"a")
    assert host.measured()["after its 429"] == (2, 1)


def test_requests_that_arrive_in_pieces_or_together_are_each_answered() -> None:
    async def converse() -> tuple[bytes, int]:
        site = Site({"index.html": b"<p>index", "b.html": b"<p>b"})
        async with site.serve():
            (host,) = (host for host in site.hosts if len(host.pages) == 2)
            reader, writer = await asyncio.open_connection(*host.name.split(":"))
            writer.write(b"GET /index.html HT")
            await writer.drain()
            writer.write(b"TP/1.1\r\n\r\nGET /b.html HTTP/1.1\r\n\r\n")
            received = b""
            while not received.endswith(b"<p>b"):
                received += await reader.read(1000)
            writer.close()
            await writer.wait_closed()
            return received, host.in_flight

    received, in_flight = asyncio.run(converse())

    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b"<p>index") < received.index(b"<p>b")
    assert in_flight == 0
