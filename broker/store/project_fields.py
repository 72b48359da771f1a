"""What a project is configured with: the one list of its fields for the store, the API and imports."""

from collections.abc import Mapping
from typing import Any, NamedTuple

UNLIMITED = 1.7976931348623157e308
"""How an unlimited rate reads: the original tracker's largest float."""


class ProjectField(NamedTuple):
    default: Any
    """What a project has that was created without it. Its type says how the store's text reads; a float is a rate."""
    copied: bool = False
    """Whether the scripts of the project's own slot read it, and so a change is copied there."""


FIELDS: Mapping[str, ProjectField] = {
    "priority": ProjectField(0),
    "name": ProjectField(""),
    "clone_url": ProjectField(""),
    "git_repo": ProjectField(""),
    "version": ProjectField(""),
    "motd": ProjectField(""),
    "public": ProjectField(False, copied=True),
    "hidden": ProjectField(False),
    "chain": ProjectField(0, copied=True),
    "paused": ProjectField(False, copied=True),
    "assign_rate": ProjectField(0.0, copied=True),
    "submit_rate": ProjectField(0.0, copied=True),
    "remember_closed": ProjectField(0, copied=True),
}

DEFAULTS = {name: field.default for name, field in FIELDS.items() if name != "name"}
"""What a new project has where nobody says otherwise."""

COPIED = [name for name, field in FIELDS.items() if field.copied]


def values_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """The fields as the store has them, as values."""
    return {name: _value(texts[name], field.default) for name, field in FIELDS.items()}


def pairs_of(values: Mapping[str, Any]) -> list[str]:
    """Fields, secrets among them, as scripts take them: name, text, name, text..."""
    return [text for name, value in values.items() for text in (name, _text(value, name))]


def _value(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return text == "1"
    if isinstance(default, float):
        rate = float(text) or UNLIMITED
        # A client in the field reads no 2.0.
        return int(rate) if rate.is_integer() and rate < 2**53 else rate
    return type(default)(text)


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if name in FIELDS and isinstance(FIELDS[name].default, float) and value in (0, UNLIMITED):
        return "0"
    return str(value)
