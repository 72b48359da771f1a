"""Names of hosts: of the broker as a browser asks for it, and of the URLs that a browser or a user names."""

import ipaddress
import re

_PORTS = {"http": "80", "https": "443"}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<name>\[[0-9a-f:.]+\]|[^\s/\\?#@:\[\]]+)(?::(?P<port>\d*))?(?:[/?#]|\Z)",
    re.ASCII | re.IGNORECASE,
)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>\d+))?", re.ASCII | re.IGNORECASE)
_LABELS = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?P<last>[a-z0-9_-]{1,63})\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def is_own(url: str, host: str) -> bool:
    """Whether a URL or origin that a browser sent is of the host that it asked, as its Host header says.

    Names are compared, and ports only when Host has one: a proxy may take it off.
    """
    given, asked = _URL.match(url), _HOST.fullmatch(host)
    if given is None or asked is None or given["name"].lower() != asked["name"].lower():
        return False
    default = _PORTS[given["scheme"].lower()]
    return asked["port"] is None or (given["port"] or default) == asked["port"]


def elsewhere(url: str, host: str) -> bool:
    """Whether a URL that a user wrote surely leads to another host than the one that a browser asked.

    False for every name that browsers may read in another way: 127.1, a name with escapes or beyond ASCII, user info.
    """
    given, asked = _URL.match(url), _HOST.fullmatch(host)
    name = _plain(given["name"]) if given else None
    return name is not None and asked is not None and name != _plain(asked["name"])


def _plain(name: str) -> str | None:
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
