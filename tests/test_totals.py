"""The totals of a project stand once, and everything that names them names all of them."""

import re
from pathlib import Path

import pytest

from broker.client.types import Counters
from broker.store.monitoring import TOTALS
from tests.client import Fleet
from tests.openapi_check import DOCUMENT
from tests.prometheus import Metrics
from tests.serving import Serving

ROOT = Path(__file__).parents[1]


def test_the_description_and_the_client_have_all_totals(fleet: Fleet, serving: Serving) -> None:
    described = DOCUMENT["components"]["schemas"]["Counters"]["properties"]

    assert [*described] == [*Counters.__struct_fields__] == [*TOTALS]
    assert {name: field["description"] for name, field in described.items()} == TOTALS
    project = fleet.project()
    metrics = Metrics.of(serving.url)
    assert [metrics(f"tasks_{name}_total", project=project) for name in TOTALS] == [0] * len(TOTALS)


@pytest.mark.parametrize(
    ("page", "list_of_them"),
    [
        ("docs/operating.md", r"`broker_tasks_X_total`.*?X: (.*?) \|\n"),
        ("lua/README.md", r"The totals of a project, since it began: (.*?) \(below\)\."),
    ],
)
def test_the_pages_name_all_totals(page: str, list_of_them: str) -> None:
    found = re.search(list_of_them, (ROOT / page).read_text(), re.DOTALL)
    assert found

    named = re.sub(r"\([^)]*\)|`", "", found[1])
    assert re.split(r",\s+", re.sub(r"\s+,", ",", named.strip())) == [*TOTALS]
