"""``broker project``: creates, lists, pauses and configures projects."""

import argparse
import re
from typing import Any

import msgspec

from broker.cli import whole_number
from broker.cli.client import add_client_options, add_commands, as_manager, connected
from broker.cli.output import one_line, print_answer, print_json, print_rows
from broker.client import ClientError
from broker.client.types import Project

_FIELDS = {field.name: field.type for field in msgspec.structs.fields(Project) if field.name != "id"}
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,20})?([eE]\+?[0-9]{1,3})?")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def add(parser: argparse.ArgumentParser) -> None:
    commands = add_commands(parser)
    create = commands("create", _create, "create a project")
    create.add_argument("name", metavar="NAME", help="unique among all projects")
    listing = commands("list", _list, "list the projects")
    pause = commands("pause", _pause, "assign no tasks of a project; submit and release still work")
    resume = commands("resume", _resume, "assign the tasks of a project again")
    settings = commands("settings", _settings, "show the settings of a project, or change those that are given")
    for command in (pause, resume, settings):
        command.add_argument("project", type=whole_number(1), metavar="ID", help="the project")
    for command in (create, settings):
        command.add_argument(
            "settings",
            nargs="*",
            metavar="FIELD=VALUE",
            help="such as group_delay=0.5, public=yes or motd=hello; docs/http-api.md has all fields",
        )
    for command in (create, listing, pause, resume, settings):
        add_client_options(command, "admin_file")


def _create(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        project = client.create_project(arguments.name, **_given(arguments.settings))
    print_answer(arguments.json, {"id": project}, f"project {project} is created")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=False):
        projects = client.projects()
    print_rows(arguments.json, projects, ("id", "project", "priority", ""), _row, "no projects")
    return 0


def _row(project: Project) -> tuple[int | str, ...]:
    flags = ", ".join(name for name in ("public", "hidden", "paused") if getattr(project, name))
    return (str(project.id), one_line(project.name, 60), project.priority, flags)


def _pause(arguments: argparse.Namespace) -> int:
    return _change(arguments, {"paused": True}, "is paused")


def _resume(arguments: argparse.Namespace) -> int:
    return _change(arguments, {"paused": False}, "is resumed")


def _settings(arguments: argparse.Namespace) -> int:
    if arguments.settings:
        return _change(arguments, None, "is changed")
    with connected(arguments) as client, as_manager(client, arguments, required=False):
        content = client.call("GET", f"/project/get/{arguments.project}", safe=True)["project"]
    if arguments.json:
        print_json(content)
        return 0
    width = max(map(len, content))
    for name, value in content.items():
        print(f"{name.ljust(width)}  {_shown(value)}".rstrip())
    return 0


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else one_line(str(value), 10_000)


def _change(arguments: argparse.Namespace, fields: dict[str, Any] | None, done: str) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        body = _given(arguments.settings) if fields is None else fields
        content = client.call("POST", f"/project/update/{arguments.project}", body, safe=True)
    print_answer(arguments.json, content, f"project {arguments.project} {done}")
    return 0


def _given(pairs: list[str]) -> dict[str, Any]:
    """The fields of ``FIELD=VALUE``, each converted to its type. Raises :class:`ClientError`."""
    fields: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in _FIELDS:
            raise ClientError(f"{pair}: FIELD=VALUE, and FIELD is one of {', '.join(_FIELDS)}")
        fields[name] = _value(name, text)
    return fields


def _value(name: str, text: str) -> Any:
    kind = _FIELDS[name]
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ClientError(f"{name}: yes or no")
        return _WORDS[text.lower()]
    if kind not in {int, float}:
        return text
    if not _NUMBER.fullmatch(text):
        raise ClientError(f"{name}: a number")
    return float(text) if "." in text or "e" in text.lower() else int(text)
