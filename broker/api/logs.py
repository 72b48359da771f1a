"""Log lines of workers."""

import logging

import msgspec

from broker.api import auth
from broker.api.envelope import Call, Reply, route
from broker.errors import BrokerError
from broker.schemas import LogLine, one_of, required
from broker.store.logs import LEVELS, cut

log = logging.getLogger("broker.worker")

_LINE = msgspec.json.Decoder(LogLine | None)
_PYTHON_LEVELS = {"trace": logging.DEBUG, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING}


async def add(call: Call) -> Reply:
    worker = await auth.worker(call)
    level = call.path_params["level"]
    if level not in LEVELS:
        raise BrokerError("not_found", f"No such log level; there are {', '.join(LEVELS)}")
    line = await call.decode(_LINE, LogLine())
    scope = required(line.scope, "scope")
    message = required(one_of("message", line.message, "Message", line.capital_message), "message")
    timestamp = required(line.timestamp, "timestamp")

    await call.store.logs.add(level, worker.id, scope, message, timestamp)
    extra = {"worker": worker.id, "scope": cut(scope), "timestamp": timestamp, "worker_level": level}
    log.log(_PYTHON_LEVELS.get(level, logging.ERROR), "%s", cut(message), extra=extra)
    return Reply()


ROUTES = [route("POST", "/log/{level}", add)]
