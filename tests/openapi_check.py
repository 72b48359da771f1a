"""Checks calls and their answers against the OpenAPI document."""

import json
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from broker.api import routes
from broker.openapi.document import document
from broker.settings import Settings

DOCUMENT = document(routes(), Settings())
_PATHS = [
    (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path)
    for path in sorted(DOCUMENT["paths"], key=lambda path: path.count("{"))
]
_NO_PATH = {"not_found", "method_not_allowed"}
"""Codes of paths and methods that are in no document."""


def operation(method: str, path: str) -> dict[str, Any] | None:
    """What the document says of a call; None for what it does not have."""
    bare = re.sub("//+", "/", unquote(path.partition("?")[0])).removeprefix("/api")
    found = next((template for pattern, template in _PATHS if pattern.fullmatch(bare)), None)
    made: dict[str, Any] | None = DOCUMENT["paths"][found].get(method.lower()) if found else None
    return made


def hold(method: str, path: str, sent: object, status: int, received: bytes) -> None:
    """Raises AssertionError when the document does not allow this answer, or not this body of a call that was fine."""
    if path.startswith(("/ui", "/api/ui")):
        return
    call, told = f"{method} {path}: {status}", operation(method, path)
    if told is None and method == "HEAD":
        assert status in {404, 405}, call
        return
    if told is None:
        assert json.loads(received)["code"] in _NO_PATH, call
        return
    assert str(status) in told["responses"], f"{call} is not in the document: {received[:500]!r}"
    name = told["operationId"]
    if "content" not in told["responses"][str(status)]:
        assert not received, call
    else:
        _hold(answers(name, status), received, call)
    if isinstance(sent, (str, bytes)) and sent.strip() and status == 200 and json.loads(received)["ok"]:
        _hold(bodies(name), sent, f"{call}, its body")


def _hold(validator: "jsonschema_rs.Validator | None", text: str | bytes, what: str) -> None:
    if validator is None:
        return
    value = json.loads(text)
    for error in validator.iter_errors(value):
        where = "/".join(map(str, error.instance_path))
        raise AssertionError(f"{what}, {where}: {error.message[:500]}; in {text[:500]!r}")


def _operation(name: str) -> dict[str, Any]:
    return next(told for way in DOCUMENT["paths"].values() for told in way.values() if told["operationId"] == name)


@cache
def answers(name: str, status: int) -> "jsonschema_rs.Validator | None":
    """Of the JSON of an answer. Objects may have no other fields than those that the document names."""
    media = _operation(name)["responses"][str(status)]["content"].get("application/json")
    return _validator(_closed(media["schema"]), _closed(DOCUMENT["components"])) if media else None


@cache
def bodies(name: str) -> "jsonschema_rs.Validator | None":
    """Of the JSON that a call sends; None where the document has no body."""
    body = _operation(name).get("requestBody")
    return _validator(body["content"]["application/json"]["schema"], DOCUMENT["components"]) if body else None


def _validator(schema: dict[str, Any], components: dict[str, Any]) -> "jsonschema_rs.Validator":
    return jsonschema_rs.Draft202012Validator({**schema, "components": components})


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return closed | ({"additionalProperties": False} if "properties" in closed and "required" in closed else {})
