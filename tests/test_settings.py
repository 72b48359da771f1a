"""Settings are read once, from flags before the environment, and documented as they are."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from broker.errors import StartError
from broker.settings import Settings, duration, size, variable

OPERATING = Path(__file__).parents[1] / "docs" / "operating.md"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("8h", 28_800), ("7d", 604_800), ("0.5", 0.5), ("20ms", 0.02)],
)
def test_durations_are_seconds_or_have_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("1024", 1024), ("64kb", 65_536), ("16MB", 1 << 24), ("2gb", 1 << 31)]
)
def test_sizes_are_bytes_or_have_a_unit(text: str, count: int) -> None:
    assert size(text) == count


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_default() -> None:
    environment = {"BROKER_PORT": "4000", "BROKER_WORKERS": "3"}

    read = Settings.read(environment, {"port": "5000", "workers": None})

    assert (read.port, read.workers, read.host) == (5000, 3, "127.0.0.1")


def test_settings_survive_the_way_through_the_environment() -> None:
    read = Settings.read(
        {"BROKER_SWEEP_INTERVAL": "250ms", "BROKER_MAXMEMORY": "2gb", "BROKER_ALLOW_REGISTRATION": "no"}
    )

    assert Settings.read(read.environment()) == read


def test_every_setting_is_in_the_operators_table_with_its_default() -> None:
    table = OPERATING.read_text().partition("## Settings\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\|.*?`(BROKER_[A-Z_]+)` *\| *`?([^|`]*)`? *\|", table, re.MULTILINE))

    assert {name: default.strip() or "-" for name, default in rows.items()} == {
        variable(setting): setting.metadata["default"] or "-" for setting in fields(Settings)
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "http://:s3cret@127.0.0.1:1",
        "redis:/:s3cret@127.0.0.1:1",
        "redis://:s3cret@127.0.0.1:port/0",
        "redis://:s3cret#more@127.0.0.1:1/0",
        "redis://:s3cret/more@127.0.0.1:1/0",
        "redis://:s3cret@[::1/0",
    ],
)
def test_an_invalid_url_is_refused_without_its_password(wrong: str) -> None:
    with pytest.raises(StartError, match="BROKER_REDIS_URL: ") as refused:
        Settings.read({"BROKER_REDIS_URL": wrong})

    assert "s3cret" not in str(refused.value)
