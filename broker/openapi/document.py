"""The OpenAPI document, made from what stands beside each handler and from the schemas of what it takes and gives."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus

import msgspec

from broker import __version__
from broker.api.bodies import Id
from broker.api.operation import Group, Operation
from broker.api.responses import STATUS
from broker.api.routing import Route
from broker.errors import CODES
from broker.openapi.schemas import Json, Schemas, envelope, or_null, without_null
from broker.settings import Settings

GROUPS: Sequence[Group] = ("Tasks", "Workers", "Projects", "Maintenance", "Managers", "The broker")

_ABOUT = """A task broker for crawler fleets: workers submit tasks, get them, and release them.

Every answer is one JSON object, also for errors. It has `ok`. A good answer can have `content`. A refusal has
`message`, for people, and `code`, for programs. Only `/metrics` and `/openapi.json` have other forms. A get without a
task always has the message `No task available`, and the reason in `detail`. Every answer has an `X-Request-ID`: the one
that the client sent, or a new one.

A body is JSON in UTF-8; no Content-Type is needed. A field that is null is absent, unknown fields are ignored.
Integers are JSON integers: `1`, not `1.0` or `"1"`. Every path also works under `/api`. A path that is not listed here
answers 404 `not_found`, a method that is not listed 405 `method_not_allowed`."""
_LEVELS = ("trace", "info", "warn", "error")
_JSON = "application/json"


class Description:
    """The document, and as it is sent."""

    def __init__(self, routes: Sequence[Route], settings: Settings) -> None:
        self.document = document(routes, settings)
        self.encoded = json.dumps(self.document, ensure_ascii=False, separators=(",", ":")).encode()
        self.etag = f'"{hashlib.sha256(self.encoded).hexdigest()[:16]}"'


def document(routes: Sequence[Route], settings: Settings) -> Json:
    """OpenAPI 3.1. The codes of an answer are its ``x-codes``: code and when."""
    schemas = Schemas()
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda route: GROUPS.index(route.operation.group)):
        *methods, _ = route.call.split()
        for method in methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(method, route.path, route.operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Task broker", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}},
        # Relative: a proxy may have put the broker under a path.
        "servers": [{"url": "."}],
        "tags": [{"name": group} for group in GROUPS],
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.made.items())), "securitySchemes": _security(settings.cookie)},
        "x-codes": {code: {"status": STATUS[code], "meaning": text} for code, text in CODES.items()},
    }


def _security(cookie: str) -> Json:
    def key(where: str, name: str, text: str) -> Json:
        return {"type": "apiKey", "in": where, "name": name, "description": text}

    return {
        "workerId": key("header", "X-Worker-ID", "A worker's id, from `/worker/create`"),
        "workerSecret": key("header", "X-Secret", "A worker's secret, from `/worker/create`"),
        "session": key("cookie", cookie, "A manager's session, from `/login` or `/register`"),
        "metricsToken": {"type": "http", "scheme": "bearer", "description": "`BROKER_METRICS_TOKEN`, if it is set"},
        "signature": key("header", "X-Hub-Signature-256", "HMAC of the raw body with a project's webhook secret"),
    }


def _operation(method: str, path: str, operation: Operation, schemas: Schemas) -> Json:
    words = re.sub(r"/\{(\w+)\}", r"/by/\1", path).replace("-", "/").replace(".", "/")
    made: Json = {
        "tags": [operation.group],
        "summary": operation.summary,
        "operationId": "_".join([method.lower(), *filter(None, re.split(r"[/_]", words))]),
        "security": [{scheme: [] for scheme in way} for way in operation.who.security],
    }
    if operation.text:
        made["description"] = operation.text
    if parameters := [*_in_path(operation), *_in_query(operation, schemas)]:
        made["parameters"] = parameters
    if operation.body is not None:
        example = {} if operation.example.body is None else {"example": operation.example.body}
        # A body of nothing, or of null, is allowed where no field is needed.
        schema = schemas.of(operation.body)
        needed = bool(schemas.made[operation.body.__name__]["required"])
        schema = schema if needed else or_null(schema)
        made["requestBody"] = {"required": needed, "content": {_JSON: {"schema": schema} | example}}
    made["responses"] = dict(sorted(_responses(method, operation, schemas).items()))
    return made


def _in_path(operation: Operation) -> Iterator[Json]:
    values = dict(zip(operation.path, operation.example.path.split("/")[-len(operation.path) or None :], strict=False))
    for name, text in operation.path.items():
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


def _in_query(operation: Operation, schemas: Schemas) -> Iterator[Json]:
    if operation.query is None:
        return
    made = schemas.alone(operation.query)
    for name, field in made["properties"].items():
        schema = without_null(field)
        text = schema.pop("description")
        needed = name in made["required"]
        yield {"name": name, "in": "query", "required": needed, "description": text, "schema": schema}


def _responses(method: str, operation: Operation, schemas: Schemas) -> Json:
    refused: dict[int, dict[str, str]] = {}
    for code, text in _refusals(method, operation).items():
        refused.setdefault(operation.status_of(code), {})[code] = text
    if method == "HEAD":
        plain = [operation.good, *operation.also, *refused]
        return {str(status): {"description": _phrase(status)} for status in plain}

    made: Json = {
        str(status): {"description": _sentence(text)}
        | ({} if status == 304 else {"content": {_JSON: {"schema": envelope(["ok"], {"ok": {"const": True}})}}})
        for status, text in operation.also.items()
    }
    for status, codes in refused.items():
        shapes = [schemas.refusal(status, codes)]
        if status == 503 and operation.partly is not None:
            shapes.append(schemas.refusal(status, codes, operation.partly))
        made[str(status)] = {
            "description": " ".join(f"`{code}`: {text}." for code, text in codes.items()),
            "x-codes": codes,
            "content": {_JSON: {"schema": _any_of(shapes)}},
        }
        if status in {429, 503}:
            made[str(status)]["headers"] = {
                "Retry-After": {"description": "Seconds, rounded up", "schema": {"type": "integer", "minimum": 1}}
            }
    good = made.setdefault(str(operation.good), {"description": ""})
    good["description"] = f"Done. {good['description']}".strip()
    if operation.media:
        good["content"] = {
            operation.media: {"schema": {"type": "object"} if operation.media == _JSON else {"type": "string"}}
        }
    elif operation.good == 200:
        others = [good["content"][_JSON]["schema"]] if "content" in good else []
        example = {"ok": True, "message": operation.example.message, "content": operation.example.content}
        good["content"] = {
            _JSON: {
                "schema": _any_of([*schemas.good(operation), *others]),
                "example": {name: value for name, value in example.items() if value is not None},
            }
        }
    return made


def _refusals(method: str, operation: Operation) -> dict[str, str]:
    """What the operation says, and what follows from the rest of it. A code without a text has that of ``CODES``."""
    codes = {**operation.who.refuses, **operation.refuses, "internal": ""}
    if operation.path or operation.query or operation.body:
        codes.setdefault("invalid", "")
    if operation.body:
        codes.setdefault("too_large", "")
        codes["unsupported_encoding"] = ""
    if method == "POST" or operation.changes:
        codes["cross_site"] = ""
    if operation.store:
        codes["unavailable"] = ""
    return {code: codes[code] or text for code, text in CODES.items() if code in codes}


def _any_of(shapes: list[Json]) -> Json:
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
