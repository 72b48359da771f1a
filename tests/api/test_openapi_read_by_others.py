"""Schemathesis, which has never seen the broker, reads the document and sends what that allows and what it does not."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Fleet
from tests.serving import Serving

SECONDS = 20
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
ENDS_WHAT_IT_IS_CALLED_WITH = "^/(login|logout|register|account/.*|worker/rotate_secret)$"


def without_waits(document: Any) -> Any:
    """Sets ``wait`` to 0: waiting a minute takes longer than everything else."""
    for way in document["paths"].values():
        for parameter in way.get("get", {}).get("parameters", ()):
            if parameter["name"] == "wait":
                parameter["schema"]["maximum"] = 0
    return document


@pytest.mark.slow
def test_no_answer_is_against_the_document(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    admin = serving.caller()
    admin.post("/register", {"username": "ada", "password": "a long password"}).content()
    fleet = Fleet(serving.url, admin)
    worker = fleet.worker(fleet.project(name="index"), fleet.project(name="pages"))
    headers = {"X-Worker-ID": worker.id, "X-Secret": worker.secret, "Cookie": f"tt={admin.http.cookies['tt']}"}

    read = tmp_path / "openapi.json"
    read.write_text(json.dumps(without_waits(httpx.get(f"{serving.url}/openapi.json", verify=False).json())))
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", str(read), "--url", serving.url]
    command += ["--checks", ",".join(CHECKS), "--exclude-path-regex", ENDS_WHAT_IT_IS_CALLED_WITH]
    command += ["--max-time", str(SECONDS), "--seed", "1", "--no-color"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested, done.stdout
    assert int(tested[1]) > 40
    fleet.close()
    assert serving.stop() == 0
    assert "Traceback" not in serving.log.read_text()
