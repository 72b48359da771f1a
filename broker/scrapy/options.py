"""The settings of a Scrapy project for the broker."""

from dataclasses import dataclass
from typing import Any

from scrapy.settings import BaseSettings

_LONGEST = 86_400


@dataclass(frozen=True)
class Options:
    """``close_after_idle``: seconds without a task after which the spider closes, even if others work; 0: never."""

    url: str
    project: int
    join_token: str
    worker_file: str
    lease: int
    stay: bool
    close_after_idle: float

    @classmethod
    def read(cls, settings: BaseSettings) -> "Options":
        """Raises :class:`ValueError`, which names the setting."""
        if not (url := settings.get("BROKER_URL")):
            raise ValueError("BROKER_URL is missing: the address of the broker, such as http://localhost:3010")
        return cls(
            url=str(url),
            project=_number(settings, "BROKER_PROJECT", None, 1, 1 << 53),
            join_token=str(settings.get("BROKER_JOIN_TOKEN") or ""),
            worker_file=str(settings.get("BROKER_WORKER_FILE") or ""),
            lease=_number(settings, "BROKER_LEASE", 60, 3, _LONGEST),
            stay=settings.getbool("BROKER_STAY"),
            close_after_idle=_number(settings, "BROKER_CLOSE_AFTER_IDLE", 0, 0, _LONGEST * 365),
        )


def _number(settings: BaseSettings, name: str, default: int | None, low: int, high: int) -> int:
    found: Any = settings.get(name, default)
    try:
        number = int(found)
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise ValueError(f"{name} is {found!r}: it must be a whole number from {low} to {high}")
    return number
