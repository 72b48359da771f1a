"""The OpenAPI document, generated from the declarations of the handlers and the types of bodies and answers."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from broker import __version__
from broker.api import bodies
from broker.api.responses import STATUS
from broker.api.routing import Group, Operation, Route
from broker.api.values import Id
from broker.errors import CODES
from broker.settings import Settings

Json = dict[str, Any]

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

REF = "#/components/schemas/"
BODIES = frozenset(
    name for name, thing in vars(bodies).items() if isinstance(thing, type) and issubclass(thing, Struct)
)
"""Names of the schemas of bodies."""


class Schemas:
    """Creates the schemas, and keeps those that others refer to."""

    def __init__(self) -> None:
        self.made: dict[str, Json] = {
            "Message": {"type": "string", "description": "For people; its words may change"},
            "Detail": {
                "type": "string",
                "description": "The reason, for people, if the message is the same for several reasons",
            },
        }

    def of(self, type: type[Struct]) -> Json:
        """A reference to the schema of ``type``."""
        (reference,), components = msgspec.json.schema_components([type], ref_template=f"{REF}{{name}}")
        for name, schema in components.items():
            if name not in self.made:
                self.made[name] = _body_schema(schema) if name in BODIES else schema
        return reference

    def alone(self, type: type[Struct]) -> Json:
        """The schema of ``type`` itself."""
        schema: Json = msgspec.json.schema_components([type])[1][type.__name__]
        return schema

    def good(self, operation: Operation) -> list[Json]:
        """The envelopes of good answers, one for each content."""
        ok: Json = {"ok": {"type": "boolean"} if operation.in_parts else {"const": True}}
        message: Json = {"message": {"$ref": f"{REF}Message"}}
        beside = message if operation.remarks == "beside" else {}
        shapes = [_envelope(["ok", "content"], ok | beside | {"content": self.of(one)}) for one in operation.content]
        if operation.remarks == "instead":
            shapes.append(_envelope(["ok", "message"], ok | message))
        return shapes or [_envelope(["ok"], ok)]

    def refusal(self, status: int, codes: Mapping[str, str], content: type[Struct] | None = None) -> Json:
        """A reference to the envelope of refusals with these codes."""
        name = "_or_".join(sorted(codes))
        properties: Json = {
            "ok": {"const": False},
            "message": {"$ref": f"{REF}Message"},
            "code": {"enum": sorted(codes)},
        }
        if status == 429:
            text = "Seconds to wait, with a fraction"
            properties["rate_limit_delay"] = {"type": "number", "exclusiveMinimum": 0, "description": text}
        if content is not None:
            name += f"_with_{content.__name__}"
            properties["content"] = self.of(content)
        self.made[name] = _envelope([*properties], properties | {"detail": {"$ref": f"{REF}Detail"}})
        return {"$ref": f"{REF}{name}"}


def _body_schema(schema: Json) -> Json:
    """The schema of a body: a required field may not be null; another may, and then has its default."""
    fields, needed = {}, []
    for name, field in schema["properties"].items():
        rest = dict(field)
        default, text = rest.pop("x-default", None), rest.pop("description", "")
        if rest.pop("x-needed", False):
            needed.append(name)
            fields[name] = _without_null(rest)
        else:
            fields[name] = _or_null(_without_null(rest)) | ({} if default is None else {"default": default})
        fields[name]["description"] = text
    return {**schema, "properties": fields, "required": needed}


def _without_null(field: Json) -> Json:
    """``T | None`` without the None."""
    others = {word: value for word, value in field.items() if word not in {"anyOf", "default"}}
    default = {} if field.get("default") is None else {"default": field["default"]}
    (plain,) = [one for one in field.get("anyOf", [{}]) if one != {"type": "null"}]
    return {**plain, **others, **default}


def _or_null(field: Json) -> Json:
    if "type" in field:
        return {**field, "type": [field["type"], "null"]}
    return {"anyOf": [field, {"type": "null"}]}


def _envelope(required: list[str], properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


class Description:
    """The document, also encoded."""

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
        "managerToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of a manager, from `/account/tokens`; a cookie is ignored then",
        },
        "metricsToken": {"type": "http", "scheme": "bearer", "description": "`BROKER_METRICS_TOKEN`, if it is set"},
        "signature": key("header", "X-Hub-Signature-256", "HMAC of the raw body with a project's webhook secret"),
    }


def _operation(method: str, path: str, operation: Operation, schemas: Schemas) -> Json:
    parts = re.sub(r"/\{(\w+)\}", r"/by/\1", path).replace("-", "/").replace(".", "/")
    made: Json = {
        "tags": [operation.group],
        "summary": operation.summary,
        "operationId": "_".join([method.lower(), *filter(None, re.split(r"[/_]", parts))]),
        "security": [{scheme: [] for scheme in way} for way in operation.who.security],
    }
    if operation.text:
        made["description"] = operation.text
    if parameters := [*_in_path(operation), *_in_query(operation, schemas)]:
        made["parameters"] = parameters
    if operation.body is not None:
        example = {} if operation.example.body is None else {"example": operation.example.body}
        # An empty body, or null, is allowed if no field is required.
        schema = schemas.of(operation.body)
        needed = bool(schemas.made[operation.body.__name__]["required"])
        schema = schema if needed else _or_null(schema)
        made["requestBody"] = {"required": needed, "content": {_JSON: {"schema": schema} | example}}
    made["responses"] = dict(sorted(_responses(method, operation, schemas).items()))
    return made


def _in_path(operation: Operation) -> Iterator[Json]:
    values = dict(zip(operation.path, operation.example.path.split("/")[-len(operation.path) or None :], strict=False))
    for name, text in operation.path.items():
        is_level = name == "level"
        schema: Json = {"type": "string", "enum": [*_LEVELS]} if is_level else msgspec.json.schema(Id)
        example = values[name].partition("?")[0]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _sentence(text),
            "schema": schema,
            "example": example if is_level else int(example),
        }


def _in_query(operation: Operation, schemas: Schemas) -> Iterator[Json]:
    if operation.query is None:
        return
    made = schemas.alone(operation.query)
    for name, field in made["properties"].items():
        schema = _without_null(field)
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
        | ({} if status == 304 else {"content": {_JSON: {"schema": _envelope(["ok"], {"ok": {"const": True}})}}})
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
    """The refusals that the operation declares, and those that follow from the rest of it. A code without a text has
    that of ``CODES``.
    """
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
