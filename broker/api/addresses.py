"""The address under which a call is counted."""

import ipaddress

UNKNOWN = "unknown"
"""What all share whose address is none, as over a Unix socket."""


def counted(client: tuple[str, int] | None) -> str:
    """IPv4 as it is, IPv6 as its /64: a customer has all of that."""
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
