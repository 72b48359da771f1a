"""Projects: the directory keeps the configuration, and each project's slot a copy of it for its scripts."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal, NamedTuple

from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.managers import Manager
from broker.store.redis.keys import PROJECT_LIMIT, Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.shared_read import SharedReads, rest

READ, EDIT, MANAGE_ACCESS, SECRET, MAINTENANCE = 1, 2, 4, 8, 16
ROLE_NAMES = {
    READ: "READ",
    EDIT: "EDIT",
    MANAGE_ACCESS: "MANAGE_ACCESS",
    SECRET: "SECRET",
    MAINTENANCE: "MAINTENANCE",
}

_PAGE = 500
_SLICE = 100
"""Projects that are listed at once: about 0.5 ms of the store, and 2 ms of this process."""

_LIST_DUTY = 0.3
"""Share of the time while all projects are listed; others are served in the rest of it."""

_LISTS = 100
"""Managers for whom simultaneous calls share one list."""

_LOOK, _LOOKS = 1000, 5
"""Projects that a script looks at for a page, and scripts for one page: perhaps the manager may see none of them."""

_MOST = 10_000
"""Projects that are kept rendered."""


UNLIMITED = 1.7976931348623157e308
"""How an unlimited rate reads: the original tracker's largest float."""


class ProjectField(NamedTuple):
    default: Any
    """The value in a project that was created without it. Its type decides how the store's text is parsed."""
    copied: bool = False
    """Whether scripts of the project's slot read it: then a change is copied there."""
    is_rate: bool = False
    """0 is unlimited."""
    with_tasks: bool = True
    """Whether the project in an assigned task has it: existing clients know no others."""


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
    "assign_rate": ProjectField(0.0, copied=True, is_rate=True),
    "submit_rate": ProjectField(0.0, copied=True, is_rate=True),
    "remember_closed": ProjectField(0, copied=True),
    "group_delay": ProjectField(0.0, copied=True, with_tasks=False),
    "group_limit": ProjectField(0, copied=True, with_tasks=False),
    "group_order": ProjectField("priority", copied=True, with_tasks=False),
    "retry_delay": ProjectField(0.0, copied=True, with_tasks=False),
    "retry_delay_max": ProjectField(0.0, copied=True, with_tasks=False),
    "max_reclaims": ProjectField(0, copied=True, with_tasks=False),
    "max_votes": ProjectField(0, copied=True, with_tasks=False),
    "notify_url": ProjectField("", copied=True, with_tasks=False),
    "notify_failed": ProjectField(0, copied=True, with_tasks=False),
    "notify_stalled": ProjectField(0.0, copied=True, with_tasks=False),
}

DEFAULTS = {name: field.default for name, field in FIELDS.items() if name != "name"}
"""The values of a new project's fields, unless others are given."""

COPIED = [name for name, field in FIELDS.items() if field.copied]


class Listed(NamedTuple):
    id: int
    public: bool
    hidden: bool


class Project(NamedTuple):
    id: int
    revision: int
    fields: dict[str, str]
    """Texts, as Redis has them."""
    roles: int
    """Bits of the manager who asks."""

    @property
    def visible(self) -> bool:
        return self.fields["hidden"] != "1" or bool(self.roles & READ)

    @property
    def values(self) -> dict[str, Any]:
        """The configuration without secrets; ``notify_url`` is None for managers without SECRET."""
        masked = {} if self.roles & SECRET else {"notify_url": None}
        return values_of(self.fields) | masked


Order = Literal["name", "busy", "requests", "attention"]
"""``busy``: the most unfinished tasks first, by the last count; ``requests``: only projects to which workers request
access, the most first; ``attention``: only projects that may need attention, the worst first."""


class Requests(NamedTuple):
    """Workers that request access in projects of a manager."""

    workers: int
    project: int
    """0: they are of several projects."""


class ProjectPage(NamedTuple):
    rows: list[Project]
    onward: int | None
    """The offset of the next page; None at the end."""
    whole: bool
    """Whether there is no other page: then the projects are sorted by name, whatever ``order`` was."""


class Projects:
    def __init__(self, calls: Calls, keys: Keys, active: Active, max_projects: int, create_limit: int) -> None:
        """``max_projects`` per manager; ``create_limit``: new projects per minute from one address, 0: no limit."""
        self._calls = calls
        self._keys = keys
        self.active = active
        self._max_projects = max_projects
        self._create_limit = create_limit
        self.now = ""
        self._rendered: dict[int, tuple[int, bytes]] = {}
        self._render: Callable[[Project], bytes]
        self._lists = SharedReads(self._read_list, most=_LISTS, duty=0.5)

    async def create(self, manager: int, fields: Mapping[str, Any], address: str | None = None) -> int:
        """``fields`` as in :attr:`Project.values`, ``name`` at least. Raises duplicate, invalid, denied, limit_reached.

        ``address``: of the client; None: not limited. Raises ``rate_limited`` for an address that asks too often.
        """
        every = {**DEFAULTS, **fields, "secret": "{}", **new_keys()}
        limit = 0 if address is None else self._create_limit
        limits: Arguments = [self._max_projects, address or "", limit, self.now]
        args: Arguments = [manager, repo_key(every), *limits, *pairs_of(every)]
        project: int = await self._calls.call("project_create", self._keys.directory, args)
        await self.push(project)
        return project

    async def update(self, manager: int | None, project: int, fields: Mapping[str, Any]) -> None:
        """Changes only these fields. ``manager``: who asks; None: the broker itself."""
        args: Arguments = ["" if manager is None else manager, project, repo_key(fields), *pairs_of(fields)]
        await self._calls.call("project_update", self._keys.directory, args)
        await self.push(project)

    async def push(self, project: int) -> None:
        """Copies the configuration to the project's slot. Repeated by the sweeper until it has succeeded once."""
        current = await self.get(project)
        copied = [value for name in COPIED for value in (name, current.fields[name])]
        await self._calls.call("copy", self._keys.project(project), [self.now, current.revision, *copied])
        await self._calls.call("pushed", self._keys.directory, [project, current.revision])
        await self.active.look_if_possible(project)

    async def pending(self, which: str, limit: int) -> list[int]:
        """Projects that are ``unpushed``: their copy may be behind; or ``deleted``: something of them may be left."""
        return [int(project) for project in await self._calls.command("SRANDMEMBER", self._keys.pending(which), limit)]

    async def get(self, project: int, manager: int | None = None) -> Project:
        """Raises ``not_found``."""
        args: Arguments = [project, "" if manager is None else manager]
        roles, pairs = await self._calls.call("project_get", self._keys.directory, args)
        return _project(project, roles, pairs)

    async def exists(self, project: int) -> bool:
        try:
            await self.get(project)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return False
        return True

    async def rendered(self, project: int, revision: int, render: Callable[[Project], bytes]) -> bytes:
        """The project, rendered by ``render`` (always the same function), at this revision or a newer one. It is
        cached.
        """
        kept = self._rendered.get(project)
        if kept is None or kept[0] < revision:
            current = await self.get(project)
            if len(self._rendered) >= _MOST:
                self._rendered.clear()
            # A copy: orjson's result holds a buffer of 4 kB.
            kept = self._rendered[project] = (current.revision, bytes(memoryview(render(current))))
        return kept[1]

    async def every(self, manager: int | None) -> AsyncIterator[Project]:
        """Every project, also hidden ones, highest priority first; for a share of the store's time."""
        for offset in range(0, PROJECT_LIMIT, _SLICE):
            begun = time.monotonic()
            args: Arguments = ["" if manager is None else manager, offset, _SLICE]
            rows = await self._calls.call("project_list", self._keys.directory, args)
            for id, roles, pairs in rows:
                yield _project(int(id), roles, pairs)
            if len(rows) < _SLICE:
                return
            await rest(begun, _LIST_DUTY)

    async def rendered_list(self, manager: int | None, render: Callable[[Project], bytes]) -> list[bytes]:
        """All projects that a manager may see, by name, rendered by ``render`` (always the same function), as JSON
        arrays.

        As they are now; simultaneous calls share one list.
        """
        self._render = render
        return await self._lists.get(manager)

    async def _read_list(self, manager: int | None) -> list[bytes]:
        every = self.every(manager)
        named = [(one.fields["name"], bytes(memoryview(self._render(one)))) async for one in every if one.visible]
        named.sort(key=lambda pair: pair[0])
        slices = (named[start : start + _SLICE] for start in range(0, len(named), _SLICE))
        return [b"[%b]" % b",".join(rendered for _, rendered in some) for some in slices]

    async def page(
        self, manager: int, order: Order, offset: int, limit: int, *, text: str = "", role: int | None = None
    ) -> ProjectPage:
        """At most ``limit`` projects that the manager may see, with ``text`` in their names; or on which they hold
        ``role``. Looks at a bounded number of projects, so a page may be short.
        """
        total = await self._calls.command("ZCARD", self._keys.projects)
        if total <= limit:
            _, rows = await self._looked_through(manager, "projects", 0, limit, role=role)
            found = [row for row in rows if text.casefold() in row.fields["name"].casefold()]
            return ProjectPage(sorted(found, key=lambda row: row.fields["name"].casefold()), None, True)
        set = "by-name" if order == "name" or text else order
        onward, rows = await self._looked_through(manager, set, offset, limit, role=role, text=_lower(text))
        return ProjectPage(rows, onward, False)

    async def _looked_through(
        self, manager: int, set: str, offset: int, limit: int, *, role: int | None, text: str = ""
    ) -> tuple[int | None, list[Project]]:
        """Where to continue (None at the end), and up to ``limit`` projects."""
        rows, onward = list[Project](), offset
        for _ in range(_LOOKS):
            bounds: Arguments = [onward, limit - len(rows), _LOOK, "" if role is None else role, text]
            after, *found = await self._calls.call("projects_page", self._keys.directory, [manager, set, *bounds])
            rows += (_project(int(id), roles, pairs) for id, roles, pairs in found)
            if after is None or len(rows) == limit:
                return after, rows
            onward = after
        return onward, rows

    async def requests(self, manager: int) -> Requests:
        """Requests that the manager may accept, as they were last counted."""
        return Requests(*await self._calls.call("requests_waiting", self._keys.directory, [manager]))

    async def ids(self) -> AsyncIterator[Listed]:
        """Every project, highest priority first."""
        for offset in range(0, PROJECT_LIMIT, _PAGE):
            _, some = await self.some_ids("projects", offset, _PAGE)
            for project in some:
                yield project
            if len(some) < _PAGE:
                return

    async def some_ids(self, order: Literal["projects", "busy"], offset: int, count: int) -> tuple[int, list[Listed]]:
        """How many projects there are, and some of them: highest priority first, or ``busy``: most unfinished tasks
        first.

        ``busy`` has the projects that were counted and not deleted since.
        """
        total, *row = await self._calls.call("project_ids", self._keys.directory, [order, offset, count])
        flags = zip(row[::3], row[1::3], row[2::3], strict=True)
        return total, [Listed(int(id), public == "1", hidden == "1") for id, public, hidden in flags]

    async def delete(self, manager: int, project: int) -> None:
        """Takes the project out of the directory; maintenance does the rest. Raises ``not_found``, ``denied``."""
        await self._calls.call("project_delete", self._keys.directory, [manager, project])

    async def unchain(self, target: int) -> None:
        """Removes ``target`` from the chains of all projects."""
        chained = [project.id async for project in self.every(None) if project.fields["chain"] == str(target)]
        for project in chained:
            await self.update(None, project, {"chain": 0})

    async def deleted(self, project: int) -> None:
        """Notes that nothing is left of a deleted project."""
        await self._calls.command("SREM", self._keys.pending("deleted"), project)

    async def of_repo(self, full_name: str) -> list[tuple[int, str]]:
        """(project, webhook secret) of the projects with this repository, ignoring case."""
        rows = await self._calls.call("repo_projects", self._keys.directory, [full_name.lower()])
        return [(int(project), secret) for project, secret in rows]

    async def roles(self, project: int) -> list[tuple[Manager, int]]:
        """The managers with roles on the project, and their bits, by id."""
        rows = await self._calls.call("roles_list", self._keys.directory, [project])
        listed = ((Manager(int(id), name, admin == "1", int(time)), int(bits)) for id, name, admin, time, bits in rows)
        return sorted(listed, key=lambda row: row[0].id)

    async def set_secret(self, manager: int, project: int, field: str, value: str) -> None:
        """``field``: secret, webhook_secret or notify_secret."""
        await self._calls.call("project_secret", self._keys.directory, [manager, project, field, value])

    async def authorize(self, manager: int, project: int, role: int) -> int:
        """The manager's bits on the project. Raises ``not_found``, or ``denied`` if ``role`` is not among them."""
        args: Arguments = [manager, project, role, ROLE_NAMES[role]]
        roles: int = await self._calls.call("authorize", self._keys.directory, args)
        return roles

    async def set_role(self, asking: int, project: int, manager: int, role: int) -> None:
        await self._calls.call("role_set", self._keys.directory, [asking, project, manager, role])


def new_keys() -> dict[str, str]:
    """Random keys of a new project: for its webhooks, and for the events that the broker sends."""
    return {name: secrets.token_hex(16) for name in ("webhook_secret", "notify_secret")}


def _project(id: int, roles: int, pairs: list[str]) -> Project:
    fields = _DEFAULT_TEXTS | dict(zip(pairs[::2], pairs[1::2], strict=True))
    return Project(id, int(fields["revision"]), fields, roles)


def _lower(text: str) -> str:
    """In lower case, as the scripts store names in ``by-name``."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def repo_key(fields: Mapping[str, Any]) -> str:
    """The key by which the repository of these fields is found."""
    return str(fields.get("git_repo", "")).lower()


def values_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """Values from the texts of the store."""
    return {name: _value(texts[name], field) for name, field in FIELDS.items()}


def pairs_of(values: Mapping[str, Any]) -> list[str]:
    """Fields, secrets among them, as scripts take them: name, text, name, text..."""
    return [text for name, value in values.items() for text in (name, _text(value, name))]


def _value(text: str, field: ProjectField) -> Any:
    if isinstance(field.default, bool):
        return text == "1"
    if isinstance(field.default, float):
        number = float(text) or (UNLIMITED if field.is_rate else 0)
        # An existing client does not accept 2.0.
        return int(number) if number < 2**53 and number == int(number) else number
    return type(field.default)(text)


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if name in FIELDS and isinstance(FIELDS[name].default, float):
        # Seconds are kept to 1 ms.
        return "0" if value in (0, UNLIMITED) else str(value if FIELDS[name].is_rate else round(value, 3))
    return str(value)


_DEFAULT_TEXTS = {name: _text(value, name) for name, value in DEFAULTS.items()}
"""For projects that are older than a field."""
