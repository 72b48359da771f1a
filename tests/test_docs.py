"""Every link in the documents leads to a file that is there, and to a heading in it."""

import re
from pathlib import Path

import pytest

from broker.cli import create_parser
from tests.cli.test_usage import parsers

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("lua/*.md"), *ROOT.glob("bench/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:docs|lua|broker|tests|bench)/[\w./-]+\.\w+)`|`(make [a-z-]+)`")


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As they are made on GitHub: lower case, no punctuation, a hyphen for each space."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_long_pages_begin_with_their_contents() -> None:
    for page in (page for page in PAGES if page.parent.name == "docs" and len(page.read_text().splitlines()) > 250):
        contents = re.search(r"^## Contents\n(.*?)^## ", prose(page), re.MULTILINE | re.DOTALL)
        headings = [heading for heading in re.findall(r"^## (.+)$", prose(page), re.MULTILINE) if heading != "Contents"]
        assert contents, page
        if page.name != "http-api.md":
            assert re.findall(r"\[([^]]+)\]\(#", contents[1]) == headings, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_make_targets_that_are_named_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for file, call in NAMED.findall(prose(page)):
        assert not file or (ROOT / file).exists(), file
        assert not call or call.removeprefix("make ") in targets, call


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_are_there(page: Path) -> None:
    commands = {prog.removeprefix("broker ") for prog in (parser.prog for parser in parsers(create_parser()))}
    text = page.read_text()

    named = re.findall(r"(?:`|/)broker ([a-z][a-z-]+)", text)
    for block in re.findall(r"```.*?```", text, re.DOTALL):
        named += re.findall(r"^(?:\$ )?broker ([a-z][a-z-]+)", block, re.MULTILINE)
    assert set(named) <= commands


def test_every_document_can_be_found_from_the_readme() -> None:
    found = {ROOT / "README.md"}
    new = set(found)
    while new:
        links = {(page.parent / link.partition("#")[0]).resolve() for page in new for link in LINK.findall(prose(page))}
        new = {page for page in links if page in PAGES} - found
        found |= new

    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in found] == []
