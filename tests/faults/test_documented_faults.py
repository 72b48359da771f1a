"""docs/faults.md names a test for each row, and no test that is not there."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
TABLE, TESTS = (FOLDER.parents[1] / "docs" / "faults.md").read_text().split("\n## The tests\n")


def test_every_row_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (\d+) \|", TABLE, re.MULTILINE)
    named = dict(re.findall(r"^(\d+)\. (`test_(?:.|\n(?! ?\d+\. ))*)", TESTS, re.MULTILINE))
    written = re.findall(
        r"^(?:async )?def (test_\w+)", "".join(p.read_text() for p in FOLDER.glob("*.py")), re.MULTILINE
    )

    assert rows == [str(n + 1) for n in range(len(rows))]
    assert list(named) == rows
    assert set(re.findall(r"`(test_\w+)`", TESTS)) <= set(written)
