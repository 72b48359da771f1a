"""Log lines of workers."""

import logging

import msgspec

from broker.api import auth
from broker.api.calls import Call
from broker.api.endpoint import route
from broker.api.replies import Reply
from broker.errors import BrokerError, Invalid
from broker.schemas import LogLine, LogQuery, one_of, required
from broker.store.logs import LEVELS, UNUSED_LEVELS, cut

log = logging.getLogger("broker.worker")

_MOST = 1000
"""Lines that one call gives."""

_QUERY = msgspec.json.Decoder(LogQuery | None)
_LINE = msgspec.json.Decoder(LogLine | None)
_PYTHON_LEVELS = {"trace": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


async def add(call: Call) -> Reply:
    worker = await auth.worker(call)
    level = call.path("level")
    if level not in _PYTHON_LEVELS:
        raise BrokerError("not_found", f"No such log level; there are {', '.join(_PYTHON_LEVELS)}")
    line = await call.decode(_LINE, LogLine())
    scope = required(line.scope, "scope")
    message = required(one_of("message", line.message, "Message", line.capital_message), "message")
    timestamp = required(line.timestamp, "timestamp")

    await call.store.logs.add(level, timestamp, message, scope, worker=worker.id)
    extra = {"worker": worker.id, "scope": cut(scope), "timestamp": timestamp, "worker_level": level}
    log.log(_PYTHON_LEVELS[level], "%s", cut(message), extra=extra)
    return Reply()


async def read(call: Call) -> Reply:
    """Lines of exactly one level, the last to come first."""
    if not call.settings.public_logs:
        await auth.manager(call)
    query = await call.decode(_QUERY, LogQuery())
    number, since = required(query.level, "level"), required(query.since, "since")
    level = next((name for name, value in LEVELS.items() if value == number), None)
    if level is None and number not in UNUSED_LEVELS:
        raise Invalid(f"level: one of {', '.join(f'{value} ({name})' for name, value in LEVELS.items())}")
    if since <= 0:
        raise Invalid("since: unix seconds, over 0")
    lines: list[dict[str, object]] = []
    if level is None:
        return Reply({"logs": lines})
    async for line in call.store.logs.newest_first(level):
        if line.timestamp > since:
            lines.append({**line._asdict(), "level": number})
        if len(lines) == _MOST:
            break
    return Reply({"logs": lines})


ROUTES = [route("POST", "/logs", read), route("POST", "/log/{level}", add)]
