"""Parses ``BROKER_REDIS_URL``, and builds the URLs of single servers from it."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

_PLAIN = re.compile(r"(redis|rediss|unix)://.")
_MANY = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>cluster|sentinel)://(?P<login>[^@/?]*@)?(?P<nodes>[^@/?]+)"
    r"(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?"
)
_NODE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_PORTS = {"cluster": 6379, "sentinel": 26379}
_SERVICE = re.compile(r"(?P<service>[A-Za-z0-9_.-]+)(?:/(?P<db>[0-9]{1,4}))?")
_DB = re.compile(r"[0-9]{1,4}")
_FLAG = re.compile(r"yes|no|true|false|1|0")
_TEXT = re.compile(r".+", re.DOTALL)
_WITH_TLS = {
    "ssl_ca_certs": _TEXT,
    "ssl_certfile": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
    "ssl_cert_reqs": re.compile(r"none|optional|required"),
    "ssl_check_hostname": _FLAG,
}
_WITH = {
    "single": {"db": _DB},
    "cluster": {},
    "sentinel": {"sentinel_username": _TEXT, "sentinel_password": _TEXT},
}
"""Options and their values. redis-py has more: some would override ours, some fail only when it connects."""


class RedisUrl(NamedTuple):
    kind: str
    """single, cluster or sentinel."""
    nodes: tuple[str, ...]
    """HOST:PORT of nodes of the cluster, or of the sentinels; a single server's URL has its own."""
    service: str
    """The sentinels' name for the servers that they watch."""
    template: str
    """The URL of a server, with ``{}`` for its HOST:PORT."""

    def of(self, node: str = "") -> str:
        """The URL, as redis-py reads it, of the server at ``node``."""
        return self.template.replace("{}", node, 1)


def parse(text: str) -> RedisUrl:
    """Raises :class:`ValueError`; its text says what the URL must be."""
    if _PLAIN.match(text):
        return _single(text)
    match = _MANY.fullmatch(text)
    if match is None:
        raise ValueError(
            "a URL that begins with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel:// "
            "(rediss+... with TLS)"
        )
    kind, path = match["kind"], match["path"] or ""
    nodes = tuple(_node(node, _PORTS[kind]) for node in match["nodes"].split(","))
    if kind == "cluster" and path:
        raise ValueError("a URL of a cluster, which ends after its nodes: a cluster has one database")
    service = _SERVICE.fullmatch(path) if kind == "sentinel" else None
    if kind == "sentinel" and service is None:
        raise ValueError("a URL of sentinels, which ends with the name of a service: .../SERVICE or .../SERVICE/DB")
    name, db = service.group("service", "db") if service else ("", None)
    _check_options(match["query"] or "", kind, match["scheme"])
    query = f"?{match['query']}" if match["query"] else ""
    return RedisUrl(kind, nodes, name, f"{match['scheme']}://{match['login'] or ''}{{}}/{db or 0}{query}")


def split(node: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, as a socket takes them."""
    host, _, port = node.rpartition(":")
    return host.strip("[]"), int(port)


def joined(host: str, port: object) -> str:
    """HOST:PORT, as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _single(text: str) -> RedisUrl:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is read where it is asked for
    except ValueError:
        raise ValueError("a URL that can be read: in a password, write # / @ as %23 %2F %40") from None
    if parts.scheme != "unix" and parts.path not in {"", "/"} and not _DB.fullmatch(parts.path[1:]):
        raise ValueError("a URL that ends after its server, or with the number of a database: .../0")
    _check_options(parts.query, "single", parts.scheme)
    return RedisUrl("single", (), "", text)


def _check_options(query: str, kind: str, scheme: str) -> None:
    known = _WITH[kind] | (_WITH_TLS if scheme == "rediss" else {})
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # The option is not shown: in a wrong URL, it may be the end of a password.
            wanted = f"options are among {', '.join(known)}" if known else "nodes are followed by nothing"
            raise ValueError(f"a URL whose {wanted}{'' if scheme == 'rediss' else ' (those of TLS need rediss)'}")
        if not known[name].fullmatch(value):
            raise ValueError(f"a URL with valid options: the value of {name} is not valid")


def _node(text: str, port: int) -> str:
    match = _NODE.fullmatch(text)
    if match is None or int(match["port"] or port) > 65535:
        raise ValueError("a URL whose nodes are HOST:PORT, with commas between them")
    return f"{match['host']}:{match['port'] or port}"
