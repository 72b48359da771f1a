"""The site: which links are left, what can be reached, and what is served."""

import asyncio

import httpx
import pytest

from broker.demo.site import Site

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


@pytest.mark.parametrize("path", list(PAGES))
def test_a_page_is_served_byte_for_byte(path: str) -> None:
    site = Site(PAGES)
    response = asyncio.run(_get(site, path))

    assert response.status_code == 200
    assert response.content == site.pages[path]


@pytest.mark.parametrize("path", ["", "_private.html", "a.html/", "topic?key=and"])
def test_anything_else_is_not_found(path: str) -> None:
    assert asyncio.run(_get(Site(PAGES), path)).status_code == 404


async def _get(site: Site, path: str) -> httpx.Response:
    async with site.serve() as url, httpx.AsyncClient(trust_env=False) as http:
        return await http.get(url + path)


def test_requests_that_arrive_in_pieces_or_together_are_each_answered() -> None:
    async def converse() -> bytes:
        async with Site(PAGES).serve() as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
            writer.write(b"GET /a.html HT")
            await writer.drain()
            writer.write(b"TP/1.1\r\n\r\nGET /island.html HTTP/1.1\r\n\r\n")
            received = b""
            while not received.endswith(PAGES["island.html"]):
                received += await reader.read(1000)
            writer.close()
            await writer.wait_closed()
            return received

    received = asyncio.run(converse())

    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(PAGES["a.html"]) < received.index(PAGES["island.html"])
