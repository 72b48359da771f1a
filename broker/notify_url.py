"""The URL that a project's events are sent to, and which addresses are on the Internet."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The last 32 bits of such an address are the IPv4 address that it stands for."""


class NotifyUrl(NamedTuple):
    secure: bool
    host: str
    port: int
    target: str
    """Path and query."""
    authority: str
    """The value of the Host header."""


def parsed(url: str) -> NotifyUrl:
    """Raises ValueError for any other URL; its text says what the URL must be."""
    if not re.fullmatch(r"[!-~]{1,2048}", url):
        raise ValueError("a URL of at most 2,048 visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("a URL with a valid host and port") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("a URL that begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise ValueError("a URL without a user name, a password and backslashes")
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return NotifyUrl(secure, parts.hostname, port or (443 if secure else 80), target, parts.netloc)


def is_public(address: Address) -> bool:
    """Whether this is an address on the Internet. An address that contains another one must not contain a private
    one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        inner = [address.sixtofour, *(address.teredo or ())]
        if address.is_site_local or not all(is_public(one) for one in inner if one is not None):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
