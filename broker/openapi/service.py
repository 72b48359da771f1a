"""The calls on the broker itself."""

from broker import __version__, schemas
from broker.openapi import contents
from broker.openapi.entry import ANYBODY, MANAGER, SCRAPER, Entry, Example

ENTRIES = {
    "POST /logs": Entry(
        summary="Read the log",
        text="By a manager; or by anybody, where `BROKER_PUBLIC_LOGS` is on. Lines of workers and of the broker, of "
        "exactly one level. Of each level about 10,000 are kept.",
        who=MANAGER._replace(security=((), *MANAGER.security)),
        body=schemas.LogQuery,
        content=(contents.LoggedLines,),
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
    "GET HEAD /": Entry(
        summary="Name and version",
        text="A browser (`Accept: text/html`) is led to the web UI.",
        who=ANYBODY,
        store=False,
        content=(contents.About,),
        also={303: "to the web UI, when `Accept` has `text/html`"},
        example=Example(path="/", content={"name": "task-broker", "version": __version__}),
    ),
    "GET HEAD /healthz": Entry(
        summary="Whether the process lives",
        text="Whether its store does is another question.",
        who=ANYBODY,
        store=False,
        example=Example(path="/healthz"),
    ),
    "GET HEAD /readyz": Entry(
        summary="Whether calls can be served",
        text="200 when the store has just carried out a script. 503 when it has not within a second, and from the "
        "moment on at which the broker is told to stop.",
        who=ANYBODY,
        example=Example(path="/readyz"),
    ),
    "GET /metrics": Entry(
        summary="Metrics",
        text="For Prometheus, in its text format 0.0.4; what each means is in its HELP. The same from every process. "
        "Hidden projects need the token. When the store does not answer, `broker_store_up` is 0 and the store's part "
        "is absent.",
        who=SCRAPER,
        store=False,
        media="text/plain",
        example=Example(path="/metrics"),
    ),
    "GET /openapi.json": Entry(
        summary="This document",
        text="OpenAPI 3.1. It changes with the version and the settings of the broker only; ask with `If-None-Match`.",
        who=ANYBODY,
        store=False,
        media="application/json",
        also={304: "as `If-None-Match` has it"},
        example=Example(path="/openapi.json"),
    ),
}
