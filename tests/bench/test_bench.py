"""Each question is asked for a moment, of a real broker: the answers have their shape, and errors are seen."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import results
from bench.crowd import Crowd
from bench.figures import Results
from bench.servers import broker

ROOT = Path(__file__).parents[2]
DAY = "[0-9][0-9][0-9][0-9]-*.json"


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with broker() as served, Crowd(served, workers=2) as made:
        yield made


def ask(folder: Path, module: str, *options: str) -> Results:
    command = [sys.executable, "-m", f"bench.{module}", "--results", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob(DAY)
    return results.load(path)
