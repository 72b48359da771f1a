"""Formats values for pages: numbers, times, and texts of users."""

import ipaddress
import math
import re
import time
from datetime import UTC, datetime

import msgspec

from broker.api.auth import HOST, URL
from broker.store.projects import UNLIMITED

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LABELS = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?P<last>[a-z0-9_-]{1,63})\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_LARGEST_PRETTY = 1 << 18
"""Bytes of a recipe that is indented at most."""


def number(value: int) -> str:
    return f"{value:,}"


def signed(value: int) -> str:
    return f"{value:,}".replace("-", "\N{MINUS SIGN}")


def count(value: int, thing: str) -> str:
    """``1 task``, ``2,000 tasks``."""
    return f"{value:,} {thing}" if value == 1 else f"{value:,} {thing}s"


def percent(part: int, whole: int) -> str:
    """``12 %``; a part above 0 is never shown as 0 %, nor an incomplete one as 100 %."""
    share = 100 * part / whole
    if 0 < share < 1:
        return "<1 %"
    return ">99 %" if 99 < share < 100 else f"{share:.0f} %"


def size(value: int) -> str:
    if value < 1024:
        return count(value, "byte")
    unit, bits = ("kB", 10) if value < 1 << 20 else ("MB", 20) if value < 1 << 30 else ("GB", 30)
    return f"{value / (1 << bits):,.1f} {unit}"


def duration(seconds: float) -> str:
    """The two largest units: ``2 h 5 min``."""
    left, parts = max(0, round(seconds)), []
    for length, unit in _UNITS:
        if left >= length:
            parts.append(f"{left // length:,} {unit}")
            left %= length
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def eta(seconds: float) -> str:
    """A duration, rounded as an estimate: ``17 h``, ``2 h 5 min``."""
    length, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{round(seconds / length):,} {unit}" if seconds >= 10 * length else duration(seconds)


def relative(moment: float, now: float | None = None) -> str:
    """``5 min ago``, ``in 2 h``; static/times.js does the same on a page that stays open."""
    ahead = moment - (time.time() if now is None else now)
    unit = next(((length, unit) for length, unit in _UNITS if abs(ahead) >= length), None)
    if unit is None or abs(ahead) < 5:
        return "now"
    length, name = unit
    return f"in {math.ceil(ahead / length):,} {name}" if ahead > 0 else f"{int(-ahead / length):,} {name} ago"


def moment(seconds: float) -> datetime | None:
    """None if there is no such date: workers may write any number into a log line."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def pace(per_second: float | None) -> str:
    """Tasks per second, minute or hour: the unit with a readable number."""
    if per_second is None:
        return "\N{EN DASH}"
    if per_second >= 100:
        return f"{per_second:,.0f}/s"
    if per_second >= 1 or per_second == 0:
        return f"{per_second:.3g}/s"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.3g}/min"
    return f"{per_second * 3600:.3g}/h"


def rate(per_second: float) -> str:
    return "unlimited" if per_second in {0, UNLIMITED} else f"{per_second:,g}/s"


def short(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
"""Their names in User-Agent; those that also name others come first."""

_SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS X": "macOS"}


def browser(agent: str) -> str:
    """``Firefox on Linux``; for an unknown browser, the start of its User-Agent."""
    name = next((name for name in _BROWSERS if f"{name}/" in agent), None)
    system = next((system for word, system in _SYSTEMS.items() if word in agent), "Linux" if "Linux" in agent else None)
    if name is None:
        return short(agent, 60)
    name = {"Edg": "Edge", "OPR": "Opera"}.get(name, name)
    return f"{name} on {system}" if system else name


def web_link(url: str, host: str) -> str | None:
    """The URL, if it may be a link on a page of ``host``: only if it leads to another host.

    A javascript: link would run code, and a link to the broker would call it as the manager who follows the link.
    """
    return url if url.isprintable() and " " not in url and _leads_elsewhere(url, host) else None


def _leads_elsewhere(url: str, host: str) -> bool:
    """Whether a URL of a user certainly leads to another host than the one that the browser asked.

    False for every name that browsers may read in another way: 127.1, a name with escapes or beyond ASCII, user info.
    """
    given, asked = URL.match(url), HOST.fullmatch(host)
    name = _plain_host(given["name"]) if given else None
    return name is not None and asked is not None and name != _plain_host(asked["name"])


def _plain_host(name: str) -> str | None:
    """The name as a browser spells it, None for one that it may spell in a way of its own."""
    name = name.lower()
    if name.startswith("["):
        return _address(name[1:-1])
    labels = _LABELS.fullmatch(name)
    if labels is None:
        return None
    # Browsers read whatever ends in a number as an IPv4 address.
    return _address(name) if _NUMBER.fullmatch(labels["last"]) else name.rstrip(".")


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def pretty(recipe: str) -> str | None:
    """The recipe indented, if it is a JSON object or array."""
    if not recipe.lstrip().startswith(("{", "[")) or len(recipe) > _LARGEST_PRETTY:
        return None
    try:
        # Formatted, not decoded: numbers stay as they were written.
        msgspec.json.decode(recipe)
        return msgspec.json.format(recipe, indent=2)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
