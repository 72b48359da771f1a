"""Log lines of workers."""

import logging

from broker.api import answers, auth
from broker.api.bodies import LogLine, LogQuery
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, WORKER, Example, Operation, Routes
from broker.api.values import one_of, required
from broker.errors import BrokerError, Invalid
from broker.store.logs import LEVELS, UNUSED_LEVELS, cut

log = logging.getLogger("broker.worker")

_MOST = 1000
"""Lines in one answer."""

_PYTHON_LEVELS = {"trace": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


routes = Routes()


@routes.add(
    "POST /log/{level}",
    Operation(
        group="Workers",
        summary="Write a line to the broker's log",
        text="For workers. A repeat writes the line twice.",
        who=WORKER,
        path={"level": "the level of the line"},
        body=LogLine,
        large=True,
        refuses={"not_found": "no such level"},
        example=Example(path="/log/info", body={"scope": "fetch", "message": "started", "timestamp": 1559393394}),
    ),
)
async def add(call: Call) -> Reply:
    worker = await auth.worker(call)
    level = call.path("level")
    if level not in _PYTHON_LEVELS:
        raise BrokerError("not_found", f"No such log level; the levels are {', '.join(_PYTHON_LEVELS)}")
    line = await call.decode(LogLine)
    scope = required(line.scope, "scope")
    message = required(one_of("message", line.message, "Message", line.capital_message), "message")
    timestamp = required(line.timestamp, "timestamp")

    await call.store.logs.add(level, timestamp, message, scope, worker=worker.id)
    extra = {"worker": worker.id, "scope": cut(scope), "timestamp": timestamp, "worker_level": level}
    log.log(_PYTHON_LEVELS[level], "%s", cut(message), extra=extra)
    return Reply()


@routes.add(
    "POST /logs",
    Operation(
        group="The broker",
        summary="Read the log",
        text="For managers, and with `BROKER_PUBLIC_LOGS` for everybody. Returns lines of workers and of the broker, "
        "of exactly one level. About 10,000 lines of each level are kept.",
        who=MANAGER._replace(security=((), *MANAGER.security)),
        body=LogQuery,
        content=(answers.LoggedLines,),
        example=Example(
            path="/logs",
            body={"level": 5, "since": 1559393393},
            content={
                "logs": [
                    {
                        "timestamp": 1559393394,
                        "message": "started",
                        "data": '{"scope":"fetch","worker":1}',
                        "level": 5,
                    }
                ]
            },
        ),
    ),
)
async def read(call: Call) -> Reply:
    if not call.settings.public_logs:
        await auth.manager(call)
    query = await call.decode(LogQuery)
    number, since = required(query.level, "level"), required(query.since, "since")
    level = next((name for name, value in LEVELS.items() if value == number), None)
    if level is None and number not in UNUSED_LEVELS:
        raise Invalid(f"level: one of {', '.join(f'{value} ({name})' for name, value in LEVELS.items())}")
    if since <= 0:
        raise Invalid("since: required, unix seconds above 0")
    lines: list[dict[str, object]] = []
    if level is None:
        return Reply({"logs": lines})
    async for line in call.store.logs.newest_first(level):
        if line.timestamp > since:
            lines.append({**line._asdict(), "level": number})
        if len(lines) == _MOST:
            break
    return Reply({"logs": lines})
