"""``broker redis-cli``: the operator's own redis-cli on the broker's store."""

import argparse
import os
import shutil
from typing import Any, NoReturn

from redis import RedisError, Sentinel
from redis.asyncio.connection import SSLConnection, parse_url

from broker import redis_url
from broker.cli.options import STORE, add_settings, read_settings
from broker.errors import StartError
from broker.store.redis import watched
from broker.store.redis.embedded import EmbeddedStore

_TLS = {"ssl_ca_certs": "--cacert", "ssl_certfile": "--cert", "ssl_keyfile": "--key"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "Runs redis-cli or valkey-cli on the store of the broker. All other arguments are passed on."
    parser.epilog = "for example: broker redis-cli ZRANGE 'broker:{project:1}:queue' 0 9 WITHSCORES"
    add_settings(parser, *STORE)
    parser.set_defaults(takes_rest=True)


def run(arguments: argparse.Namespace) -> NoReturn:
    """Replaces this process by redis-cli or valkey-cli."""
    settings = read_settings(arguments)
    embedded = EmbeddedStore(settings)
    if not settings.redis_url and not embedded.answers():
        raise StartError(f"no broker runs on {settings.data_dir}", setting="data_dir")
    program = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if program is None:
        raise StartError("neither redis-cli nor valkey-cli is on PATH; Debian has them in redis-tools and valkey-tools")
    server, secret = _server(settings.redis_url or embedded.url)
    environment = {**os.environ, "REDISCLI_AUTH": secret} if secret else os.environ
    os.execve(program, [program, *server, *arguments.rest], environment)  # noqa: S606 - a program on the operator's own PATH


def _server(text: str) -> tuple[list[str], str]:
    """The options of redis-cli for the server, and its password, which ``ps`` must not show."""
    url = redis_url.parse(text)
    server: dict[str, Any] = dict(
        parse_url(url.of(_primary(url) if url.kind == "sentinel" else "".join(url.nodes[:1])))
    )
    if path := server.get("path"):
        options = ["-s", path]
    else:
        options = ["-h", str(server.get("host", "localhost")), "-p", str(server.get("port", 6379))]
    if url.kind == "cluster":
        options.append("-c")
    if server.get("db"):
        options += ["-n", str(server["db"])]
    if server.get("username"):
        options += ["--user", str(server["username"])]
    if server.get("connection_class") is SSLConnection:
        options.append("--tls")
        if server.get("ssl_cert_reqs") == "none":
            options.append("--insecure")
        options += [word for name, flag in _TLS.items() if name in server for word in (flag, str(server[name]))]
    return options, str(server.get("password", ""))


def _primary(url: redis_url.RedisUrl) -> str:
    sentinels, theirs, _ = watched(url)
    try:
        watching = Sentinel(sentinels, sentinel_kwargs={"socket_timeout": 5, **theirs})  # type: ignore[no-untyped-call]
        host, port = watching.discover_master(url.service)  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise StartError(str(error), setting="redis_url") from None
    return redis_url.joined(str(host), port)
