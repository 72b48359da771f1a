"""What the README tells a newcomer to paste works as it stands."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.serving import Serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BENCH = (ROOT / "docs" / "bench.md").read_text()


def pasted(session: str, folder: Path) -> list[dict[str, Any]]:
    """The answers that it prints, each on a line."""
    command = ["bash", "-eu", "-o", "pipefail"]
    done = subprocess.run(
        command,
        input=session,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_first_session_can_be_pasted_twice(tmp_path: Path) -> None:
    session = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[1]
    serving = Serving.start(tmp_path)
    script = session.replace("http://localhost:3010", serving.url)
    assert serving.url in script

    for second in (False, True):
        register, login, project, ask, accept, submit, again, get, release = pasted(script, tmp_path)

        assert (register["ok"], login["ok"]) == (not second, True)
        assert [answer["ok"] for answer in (project, ask, accept, submit, get)] == [True] * 5
        assert (again["ok"], again["code"]) == (False, "duplicate")
        assert get["content"]["task"]["recipe"] == "crawl example.org"
        assert release["content"] == {"updated": True}
    assert serving.stop() == 0


def test_the_readme_is_short_enough_to_read() -> None:
    assert len(README.splitlines()) < 200


CLAIMS = {
    "0.61, 30,300/s": "0.61 (30,283/s)",
    "0.57, 30,000/s": "0.57 (30,024/s)",
    "3.24, 168,600/s": "3.24 (168,565/s)",
    "2.16, 112,100/s": "2.16 (112,082/s)",
    "a Go and Redis queue 0.38, the original tracker (Go, PostgreSQL) 0.026": "Go + Redis queue 0.38, original 0.026",
    "0.38, 0.002": "Go + Redis queue 0.38, original 0.002",
    "the original 1.6": "original 1.6",
    "4.5 ms": "4.52 ms",
    "0.99 and 0.93 of the speed with few tasks": "few | 0.93 |",
    "238 bytes": "238 bytes",
    "10 bytes": "10.2 bytes",
}
"""Each number of the README's table of speed, and the words of docs/bench.md that say where it was measured."""


def test_each_number_of_the_speed_was_measured() -> None:
    table = re.search(r"^## Speed\n.*?\n\n(\|.*?)\n\n", README, re.MULTILINE | re.DOTALL)
    assert table
    _, _, *rows = table[1].splitlines()
    cells = {cell.strip() for row in rows for cell in row.strip("|").split("|")[1:]}

    assert {cell for cell in cells if re.search(r"\d", cell)} == set(CLAIMS)
    measured = re.search(r"^## What was measured\n.*?^### ", BENCH, re.MULTILINE | re.DOTALL)
    assert measured
    assert [words for words in CLAIMS.values() if words not in measured[0]] == []
