"""SECURITY.md names tests that exist, and every claim's number has some."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
CLAIMS, NAMED = (TESTS.parent / "SECURITY.md").read_text().split("\n## The tests\n")


def test_every_claim_has_tests_that_exist() -> None:
    numbers = {number for cited in re.findall(r"\[([\d, ]+)\]", CLAIMS) for number in cited.split(", ")}
    lists = dict(re.findall(r"^(\d+)\. (`test_(?:.|\n(?!\d+\. ))*)", NAMED, re.MULTILINE))
    written = {name for path in TESTS.rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}

    assert set(lists) == numbers
    named = set(re.findall(r"`(test_\w+)`", NAMED))
    assert named
    assert named <= written
