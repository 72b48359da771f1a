"""The schemas of the document: what msgspec makes of bodies and answers, and the envelopes around them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from broker.api import bodies
from broker.api.operation import Operation

Json = dict[str, Any]

REF = "#/components/schemas/"
BODIES = frozenset(
    name for name, thing in vars(bodies).items() if isinstance(thing, type) and issubclass(thing, Struct)
)
"""Names of the schemas of what clients send."""


class Schemas:
    """Makes the schemas, and keeps those that others refer to."""

    def __init__(self) -> None:
        self.made: dict[str, Json] = {
            "Message": {"type": "string", "description": "For people; its words may change"},
            "Detail": {
                "type": "string",
                "description": "Why, for people, where the message is the same for many reasons",
            },
        }

    def of(self, type: type[Struct]) -> Json:
        """A reference to the schema of ``type``."""
        (reference,), components = msgspec.json.schema_components([type], ref_template=f"{REF}{{name}}")
        for name, schema in components.items():
            if name not in self.made:
                self.made[name] = _taken(schema) if name in BODIES else schema
        return reference

    def alone(self, type: type[Struct]) -> Json:
        """Its schema itself."""
        schema: Json = msgspec.json.schema_components([type])[1][type.__name__]
        return schema

    def good(self, operation: Operation) -> list[Json]:
        """The envelopes of good answers, one for each content."""
        ok, message = {"ok": {"const": True}}, {"message": {"$ref": f"{REF}Message"}}
        beside = message if operation.remarks == "beside" else {}
        shapes = [envelope(["ok", "content"], ok | beside | {"content": self.of(one)}) for one in operation.content]
        if operation.remarks == "instead":
            shapes.append(envelope(["ok", "message"], ok | message))
        return shapes or [envelope(["ok"], ok)]

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
        self.made[name] = envelope([*properties], properties | {"detail": {"$ref": f"{REF}Detail"}})
        return {"$ref": f"{REF}{name}"}


def _taken(schema: Json) -> Json:
    """The schema of a body: what is needed may not be null, what is not needed may, and then has its default."""
    fields, needed = {}, []
    for name, field in schema["properties"].items():
        words = dict(field)
        default, text = words.pop("x-default", None), words.pop("description", "")
        if words.pop("x-needed", False):
            needed.append(name)
            fields[name] = without_null(words)
        else:
            fields[name] = or_null(without_null(words)) | ({} if default is None else {"default": default})
        fields[name]["description"] = text
    return {**schema, "properties": fields, "required": needed}


def without_null(field: Json) -> Json:
    """``T | None`` without the None."""
    others = {word: value for word, value in field.items() if word not in {"anyOf", "default"}}
    default = {} if field.get("default") is None else {"default": field["default"]}
    (plain,) = [one for one in field.get("anyOf", [{}]) if one != {"type": "null"}]
    return {**plain, **others, **default}


def or_null(field: Json) -> Json:
    if "type" in field:
        return {**field, "type": [field["type"], "null"]}
    return {"anyOf": [field, {"type": "null"}]}


def envelope(required: list[str], properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}
