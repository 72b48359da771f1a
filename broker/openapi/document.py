"""The OpenAPI document, made from the entries of all calls and the msgspec schemas of what they take and give."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import msgspec

from broker import __version__
from broker.errors import STATUS
from broker.openapi import maintenance, managers, projects, service, tasks, workers
from broker.openapi.bodies import NOTES
from broker.openapi.components import Json, Schemas, envelope, or_null, without_null
from broker.openapi.entry import Entry
from broker.schemas import Id
from broker.settings import Settings

GROUPS: dict[str, Mapping[str, Entry]] = {
    "Tasks": tasks.ENTRIES,
    "Workers": workers.ENTRIES,
    "Projects": projects.ENTRIES,
    "Maintenance": maintenance.ENTRIES,
    "Managers": managers.ENTRIES,
    "The broker": service.ENTRIES,
}
ENTRIES: dict[str, Entry] = {call: entry for group in GROUPS.values() for call, entry in group.items()}
"""By methods and path, as ``route`` takes them: ``GET POST /logout``."""

MEANINGS = {
    "no_task": "nothing to take now; ask again in a while",
    "paused": "the project is paused; ask again in a while",
    "invalid": "the request cannot be right; `message` begins with the field",
    "worker_paused": "an admin has paused this worker; ask again in a while",
    "already_asked": "an earlier request for access waits for a manager",
    "already_granted": "the worker has access already",
    "bad_credentials": "wrong worker id or secret, or wrong name or password",
    "not_logged_in": "no session, or it has ended; log in",
    "denied": "not allowed",
    "reserved": "the alias is reserved",
    "cross_site": "a browser sent this call for another site",
    "not_found": "there is no such thing, or no such path",
    "method_not_allowed": "the header `Allow` names the right methods",
    "duplicate": "there is one already",
    "too_large": "the body is over the limit of bytes",
    "rate_limited": "wait `rate_limit_delay` seconds, then repeat",
    "internal": "a fault of the broker; report it",
    "unavailable": "the store does not answer, or is full; wait, then repeat",
}
"""Every code, in general."""

_ABOUT = """A task broker for crawler fleets: workers submit tasks, get them, and release them.

Every answer is one JSON object, errors too: `ok`, and with it `content` when there is something to tell; else
`message`, for people, and `code`, to program against. Only `/metrics` and `/openapi.json` have other forms. A
get that hands out nothing always has the message `No task available`, and says why in `detail`. Every answer has an
`X-Request-ID`: the one that was sent, or a new one.

A body is JSON in UTF-8; no Content-Type is needed. A field that is null is absent, unknown fields are ignored. Integers
are JSON integers: `1`, not `1.0` or `"1"`. Every path answers under `/api` as well. A path that is not here answers 404
`not_found`, a method that is not here 405 `method_not_allowed`."""
_LEVELS = ("trace", "info", "warn", "error")
_JSON = "application/json"


def document(settings: Settings) -> Json:
    """OpenAPI 3.1. The codes of an answer are its ``x-codes``: code and when."""
    schemas = Schemas()
    paths: dict[str, Json] = {}
    for group, entries in GROUPS.items():
        for call, entry in entries.items():
            *methods, path = call.split()
            for method in methods:
                paths.setdefault(path, {})[method.lower()] = _operation(group, method, path, entry, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Task broker", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}},
        # Relative: a proxy may have put the broker under a path.
        "servers": [{"url": "."}],
        "tags": [{"name": group} for group in GROUPS],
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.made.items())), "securitySchemes": _security(settings.cookie)},
        "x-codes": {code: {"status": STATUS.get(code, 500), "meaning": text} for code, text in MEANINGS.items()},
    }


def _security(cookie: str) -> Json:
    def key(where: str, name: str, text: str) -> Json:
        return {"type": "apiKey", "in": where, "name": name, "description": text}

    return {
        "workerId": key("header", "X-Worker-ID", "A worker's id, from `/worker/create`"),
        "workerSecret": key("header", "X-Secret", "A worker's secret, from `/worker/create`"),
        "session": key("cookie", cookie, "A manager's session, from `/login` or `/register`"),
        "metricsToken": {"type": "http", "scheme": "bearer", "description": "`BROKER_METRICS_TOKEN`, where it is set"},
        "signature": key("header", "X-Hub-Signature-256", "HMAC of the raw body with a project's webhook secret"),
    }


def _operation(group: str, method: str, path: str, entry: Entry, schemas: Schemas) -> Json:
    words = re.sub(r"/\{(\w+)\}", r"/by/\1", path).replace("-", "/").replace(".", "/")
    made: Json = {
        "tags": [group],
        "summary": entry.summary,
        "operationId": "_".join([method.lower(), *filter(None, re.split(r"[/_]", words))]),
        "security": [{scheme: [] for scheme in way} for way in entry.who.security],
    }
    if entry.text:
        made["description"] = entry.text
    if parameters := [*_in_path(entry), *_in_query(entry, schemas)]:
        made["parameters"] = parameters
    if entry.body is not None:
        example = {} if entry.example.body is None else {"example": entry.example.body}
        # A body of nothing, or of null, is allowed where no field is needed.
        needed = any(note.needed for note in NOTES[entry.body].values())
        schema = schemas.of(entry.body) if needed else or_null(schemas.of(entry.body))
        made["requestBody"] = {"required": needed, "content": {_JSON: {"schema": schema} | example}}
    made["responses"] = dict(sorted(_responses(method, entry, schemas).items()))
    return made


def _in_path(entry: Entry) -> Iterator[Json]:
    values = dict(zip(entry.path, entry.example.path.split("/")[-len(entry.path) or None :], strict=False))
    for name, text in entry.path.items():
        word = name == "level"
        schema: Json = {"type": "string", "enum": [*_LEVELS]} if word else msgspec.json.schema(Id)
        example = values[name].partition("?")[0]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _sentence(text),
            "schema": schema,
            "example": example if word else int(example),
        }


def _in_query(entry: Entry, schemas: Schemas) -> Iterator[Json]:
    if entry.query is None:
        return
    made = schemas.alone(entry.query)
    for name, field in made["properties"].items():
        schema = without_null(field)
        text = schema.pop("description")
        needed = name in made["required"]
        yield {"name": name, "in": "query", "required": needed, "description": text, "schema": schema}


def _responses(method: str, entry: Entry, schemas: Schemas) -> Json:
    refused: dict[int, dict[str, str]] = {}
    for code, text in _refusals(method, entry).items():
        status = entry.status.get(code) or entry.who.status.get(code) or STATUS.get(code, 500)
        refused.setdefault(status, {})[code] = text
    if method == "HEAD":
        plain = [entry.good, *entry.also, *refused]
        return {str(status): {"description": _phrase(status)} for status in plain}

    made: Json = {
        str(status): {"description": _sentence(text)}
        | ({} if status == 304 else {"content": {_JSON: {"schema": envelope(["ok"], {"ok": {"const": True}})}}})
        for status, text in entry.also.items()
    }
    for status, codes in refused.items():
        shapes = [schemas.refusal(status, codes)]
        if status == 503 and entry.partly is not None:
            shapes.append(schemas.refusal(status, codes, entry.partly))
        made[str(status)] = {
            "description": " ".join(f"`{code}`: {text}." for code, text in codes.items()),
            "x-codes": codes,
            "content": {_JSON: {"schema": _any_of(shapes)}},
        }
        if status in {429, 503}:
            made[str(status)]["headers"] = {
                "Retry-After": {"description": "Seconds, rounded up", "schema": {"type": "integer", "minimum": 1}}
            }
    good = made.setdefault(str(entry.good), {"description": ""})
    good["description"] = f"Done. {good['description']}".strip()
    if entry.media:
        good["content"] = {entry.media: {"schema": {"type": "object"} if entry.media == _JSON else {"type": "string"}}}
    elif entry.good == 200:
        others = [good["content"][_JSON]["schema"]] if "content" in good else []
        example = {"ok": True, "message": entry.example.message, "content": entry.example.content}
        good["content"] = {
            _JSON: {
                "schema": _any_of([*schemas.good(entry), *others]),
                "example": {name: value for name, value in example.items() if value is not None},
            }
        }
    return made


def _refusals(method: str, entry: Entry) -> dict[str, str]:
    """What the entry says, and what follows from the rest of it; codes without a text of their own have the common."""
    codes = {**entry.who.refuses, **entry.refuses, "internal": ""}
    if entry.path or entry.query or entry.body:
        codes.setdefault("invalid", "")
    if entry.body:
        codes.setdefault("too_large", "")
    if method == "POST" or entry.changes:
        codes["cross_site"] = ""
    if entry.store:
        codes["unavailable"] = ""
    return {code: codes[code] or text for code, text in MEANINGS.items() if code in codes}


def _any_of(shapes: list[Json]) -> Json:
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
