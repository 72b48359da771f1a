"""What the README tells a newcomer to paste works as it stands."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.serving import Serving

README = (Path(__file__).parents[1] / "README.md").read_text()


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
