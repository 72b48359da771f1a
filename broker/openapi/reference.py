"""The OpenAPI document as pages show it: calls by group, with their fields, answers and examples as rows of text.

``python -m broker.openapi.reference`` prints docs/http-api.md.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from broker.api import routes
from broker.openapi.document import BODIES, REF, Json, document
from broker.settings import Settings

_JSON = "application/json"
_PEOPLE = {
    "workerId": "worker",
    "workerSecret": "worker",
    "session": "manager",
    "managerToken": "manager",
    "signature": "signed",
    "metricsToken": "scraper",
}
_POWERS = {2**n - less: f"2^{n}{' - 1' if less else ''}" for n in (31, 53, 63) for less in (0, 1)}
_COMMON = {
    *("invalid", "bad_credentials", "not_logged_in", "cross_site", "too_large", "unsupported_encoding"),
    *("internal", "unavailable"),
}
"""Codes without a row of their own, if they have only their general meaning in a call."""


class Kind(NamedTuple):
    before: str
    shape: str
    """The name of a shape, to which the page links; or ''."""
    after: str


class FieldRow(NamedTuple):
    name: str
    kind: Kind
    needed: bool
    text: str


class CodeRow(NamedTuple):
    status: int
    code: str
    when: str


class Call(NamedTuple):
    name: str
    methods: list[str]
    path: str
    summary: str
    text: str
    who: str
    parameters: list[FieldRow]
    body: list[FieldRow]
    content: list[FieldRow]
    forms: int
    """How many forms the content of a good answer may have; ``content`` has the fields of all."""
    answers: list[CodeRow]
    common: list[CodeRow]
    asked: str
    answered: str
    example: Json | None
    """What ``answered`` shows."""
    good: str


class Shape(NamedTuple):
    name: str
    text: str
    fields: list[FieldRow]


class Reference(NamedTuple):
    about: str
    groups: dict[str, list[Call]]
    shapes: list[Shape]
    codes: list[CodeRow]
    ways: list[tuple[str, str, str]]
    """Ways to authenticate: who, header or cookie, meaning."""


def reference(document: Json) -> Reference:
    schemas: Json = document["components"]["schemas"]
    groups: dict[str, list[Call]] = {tag["name"]: [] for tag in document["tags"]}
    for path, way in document["paths"].items():
        by_summary: dict[str, list[str]] = {}
        for method, operation in way.items():
            by_summary.setdefault(operation["summary"], []).append(method.upper())
        for methods in by_summary.values():
            operation = way[methods[0].lower()]
            groups[operation["tags"][0]].append(_call(methods, path, operation, document))
    rows = [row for calls in groups.values() for call in calls for row in (*call.body, *call.content)]
    return Reference(
        document["info"]["description"],
        groups,
        _shapes(rows, schemas),
        [CodeRow(one["status"], code, one["meaning"]) for code, one in document["x-codes"].items()],
        [
            (_PEOPLE.get(name, name), _where(scheme), scheme["description"])
            for name, scheme in document["components"]["securitySchemes"].items()
        ],
    )


def _call(methods: list[str], path: str, operation: Json, document: Json) -> Call:
    schemas, meanings = document["components"]["schemas"], document["x-codes"]
    codes = [
        CodeRow(int(status), code, when)
        for status, answer in operation["responses"].items()
        for code, when in answer.get("x-codes", {}).items()
    ]
    plain = {row for row in codes if row.code in _COMMON and row.when == meanings[row.code]["meaning"]}
    good = next(status for status in operation["responses"] if status.startswith("2"))
    answer = operation["responses"][good]
    sent = operation.get("requestBody", {}).get("content", {}).get(_JSON, {})
    received = answer.get("content", {}).get(_JSON, {})
    forms = list(_contents(received.get("schema", {}), schemas))
    return Call(
        operation["operationId"],
        methods,
        path,
        operation["summary"],
        operation.get("description", ""),
        _who(operation["security"]),
        [
            FieldRow(one["name"], _kind(one["schema"], one["in"]), one["required"], one["description"])
            for one in operation.get("parameters", ())
        ],
        _fields(_resolved(sent["schema"], schemas), inward=True) if sent else [],
        [row for form in forms for row in form],
        len(forms),
        [row for row in codes if row not in plain],
        sorted(plain),
        _pretty(sent),
        _pretty(received),
        received.get("example"),
        good,
    )


def _where(scheme: Json) -> str:
    return f"{scheme['in']} {scheme['name']}" if "in" in scheme else "header Authorization: Bearer"


def _who(security: list[Json]) -> str:
    if not security or {} in security:
        return "anybody"
    return " or ".join(dict.fromkeys(_PEOPLE.get(name, name) for way in security for name in list(way)[:1]))


def _contents(schema: Json, schemas: Json) -> Iterator[list[FieldRow]]:
    """The contents of good answers. Refusals are references, and are shown as codes."""
    for envelope in schema.get("anyOf", [schema]):
        content = envelope.get("properties", {}).get("content")
        if content is not None:
            yield _fields(_resolved(content, schemas), inward=False)


def _resolved(schema: Json, schemas: Json) -> Json:
    """The schema behind a reference, or behind a reference or null."""
    schema = schema.get("anyOf", [schema])[0]
    found: Json = schemas[schema["$ref"].removeprefix(REF)] if "$ref" in schema else schema
    return found


def _fields(schema: Json, *, inward: bool) -> list[FieldRow]:
    """``inward``: for a body, where null means absent, and required fields are marked."""
    rows = []
    for name, field in schema["properties"].items():
        kind = _kind({word: value for word, value in field.items() if word != "anyOf"} | _not_null(field))
        if not inward and {"type": "null"} in field.get("anyOf", ()):
            kind = kind._replace(after=f"{kind.after} or null")
        rows.append(FieldRow(name, kind, inward and name in schema["required"], field.get("description", "")))
    return rows


def _not_null(field: Json) -> Json:
    found: Json = next((one for one in field.get("anyOf", ()) if one != {"type": "null"}), {})
    return found


def _kind(schema: Json, where: str = "") -> Kind:
    """A type in words: ``integer, 1 to 2^53``."""
    before = f"{where}: " if where else ""
    default = schema.get("default")
    after = f"; default {json.dumps(default)}" if default is not None else ""
    if "$ref" in schema:
        return Kind(before, schema["$ref"].removeprefix(REF), after)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Kind(before + ", ".join(str(value) for value in values), "", after)
    name = schema.get("type", "anything")
    name = name[0] if isinstance(name, list) else name
    if name == "array":
        inner = _kind(_not_null(schema["items"]) or schema["items"])
        null = " or null" if "anyOf" in schema["items"] else ""
        return Kind(f"{before}list of {inner.before}", inner.shape, null + _bounds(schema, "Items", "") + after)
    bounds = _bounds(schema, "Length", " characters") if name == "string" else _bounds(schema, "imum", "")
    return Kind(before + name + bounds, "", after)


def _bounds(schema: Json, word: str, unit: str) -> str:
    low, high = schema.get(f"min{word}"), schema.get(f"max{word}")
    if word == "imum" and (less := schema.get("exclusiveMaximum")) is not None:
        high = less - 1
    if low is not None and high is not None:
        return f", {_number(low)} to {_number(high)}{unit}"
    if high is not None:
        return f", at most {_number(high)}{unit}"
    return f", {_number(low)}{unit} or more" if low is not None else ""


def _number(value: float) -> str:
    if abs(value) in _POWERS:
        return f"{'-' if value < 0 else ''}{_POWERS[abs(int(value))]}"
    return f"{value:,}"


def _shapes(rows: list[FieldRow], schemas: Json) -> list[Shape]:
    """The shapes that the rows refer to, and those that these refer to."""
    found: dict[str, Shape] = {}
    wanted = {row.kind.shape for row in rows if row.kind.shape}
    while missing := wanted - set(found):
        for name in missing:
            schema = schemas[name]
            fields = _fields(schema, inward=name in BODIES)
            found[name] = Shape(name, schema.get("description", ""), fields)
            wanted |= {row.kind.shape for row in fields if row.kind.shape}
    return [found[name] for name in sorted(found)]


def _pretty(media: Json) -> str:
    return json.dumps(media["example"], indent=2, ensure_ascii=False) if "example" in media else ""


def page() -> str:
    """The whole page, of a broker with default settings."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - the page is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    examples = {(method, route.path): route.operation.example for route in routes() for method in route.methods}
    text = templates.get_template("http-api.md.jinja").render(
        reference=reference(document(routes(), Settings())), examples=examples, anchor=_anchor, shown=_shown
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _anchor(call: Call) -> str:
    """The anchor of a call's heading, as on GitHub: lower case, no punctuation, a hyphen for each space."""
    heading = f"{' '.join(call.methods)} {call.path}"
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _shown(start: str, value: object) -> str:
    """A request or an answer as an example shows it: JSON in lines of 118 characters."""
    text = start if value is None else f"{start}  {json.dumps(value, ensure_ascii=False)}"
    return textwrap.fill(text, 118, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(page(), end="")
