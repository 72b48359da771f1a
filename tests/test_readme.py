"""What the README tells a newcomer to paste works as it stands."""

import json
import re
import subprocess
from pathlib import Path

from tests.serving import Serving

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_first_session_can_be_pasted(tmp_path: Path) -> None:
    session = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[1]
    serving = Serving.start(tmp_path)

    script = session.replace("http://localhost:3010", serving.url)
    done = subprocess.run(
        ["bash", "-eu"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert serving.url in script
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines()]
    assert [answer["ok"] for answer in answers] == [True] * 5
    assert answers[-1]["content"] == {"updated": True}
    assert '"recipe":"crawl example.org"' in done.stderr
    assert serving.stop() == 0


def test_the_readme_is_short_enough_to_read() -> None:
    assert len(README.splitlines()) < 200
