"""What a crawler does with a page."""

import pytest

from broker.demo.crawler import Fault, links, plan

SITE = "http://127.0.0.1:8000/"
OTHER = "http://127.0.0.1:8001/"


def test_links_are_those_to_the_hosts_of_the_site_each_once_and_without_fragments() -> None:
    html = f"""
      <a href="os.html">os</a> <a href="os.html#-getcwd">again</a> <A HREF='topic?key=or&amp;x'>or</A> <a href="#here">
      <a href="https://docs.python.org/3/">elsewhere</a> <a href="file:/usr/lib/os.py">file</a> <a name="here">
      <a href="/json.html">root</a> <a href="{OTHER}re.html">other host</a>
      <link href="style.css"> &lt;a href="escaped.html"&gt;
    """

    assert links(SITE + "index.html", html, {"127.0.0.1:8000", "127.0.0.1:8001"}) == [
        SITE + "os.html",
        SITE + "topic?key=or&x",
        SITE + "index.html",
        SITE + "json.html",
        OTHER + "re.html",
    ]


def test_the_plan_of_a_page_does_not_depend_on_the_port_of_the_site() -> None:
    names = [f"module{number}.html" for number in range(1000)]

    assert [plan(SITE + name) for name in names] == [plan("http://127.0.0.1:9/" + name) for name in names]


def test_a_quarter_of_the_pages_needs_two_votes_and_a_twentieth_each_fails_or_is_abandoned() -> None:
    plans = [plan(f"{SITE}module{number}.html") for number in range(4000)]

    assert sum(votes == 2 for votes, _ in plans) == pytest.approx(1000, rel=0.1)
    assert sum(fault is Fault.FAIL for _, fault in plans) == pytest.approx(200, rel=0.2)
    assert sum(fault is Fault.ABANDON for _, fault in plans) == pytest.approx(200, rel=0.2)
