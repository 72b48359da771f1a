"""What a call of the API takes, answers and refuses. It stands beside its handler; the documents are made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from broker.api.responses import STATUS


class Who(NamedTuple):
    """Who may make a call, and how everybody else is refused."""

    security: tuple[tuple[str, ...], ...]
    """Ways in, each the names of the security schemes that it takes; ``()`` is a way in without any."""
    refuses: Mapping[str, str]
    """As in :class:`Operation`."""
    status: Mapping[str, int] = {}
    """Of codes that do not have the status of ``responses.STATUS`` here."""


_BY_WORKER = ("workerId", "workerSecret")
_BY_MANAGER = ("session",)

ANYBODY = Who((), {})
WORKER = Who((_BY_WORKER,), {"bad_credentials": ""})
TAKER = Who((_BY_WORKER,), {"bad_credentials": ""}, {"bad_credentials": 403})
MANAGER = Who((_BY_MANAGER,), {"not_logged_in": ""})
READER = Who(
    ((), _BY_MANAGER),
    {"not_logged_in": "the project is hidden", "denied": "the project is hidden, and needs READ"},
)
EITHER = Who((_BY_WORKER, _BY_MANAGER), {"bad_credentials": "", "not_logged_in": ""})
SCRAPER = Who(((), ("metricsToken",)), {"bad_credentials": "the token is not `BROKER_METRICS_TOKEN`"})
SIGNED = Who(
    (("signature",),), {"denied": "no project of this repository has a webhook secret that matches the signature"}
)

Group = Literal["Tasks", "Workers", "Projects", "Maintenance", "Managers", "The broker"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A call as a test sends it to a new broker, and what came back."""

    path: str
    body: Any = None
    content: Any = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call. ``openapi/`` adds what follows from its method, its path, its body, and from who may make it."""

    group: Group
    summary: str
    who: Who
    example: Example
    text: str = ""
    """More, in Markdown: what it does, and what happens when it is repeated after a lost answer."""
    path: Mapping[str, str] = field(default_factory=dict)
    """What stands in the path: name and meaning."""
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    content: tuple[type[Struct], ...] = ()
    """Any of these is the content of a good answer; none: it has no content."""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """Code, and when: ``""`` when there is no more to say than of any other call."""
    status: Mapping[str, int] = field(default_factory=dict)
    """As in :class:`Who`."""
    partly: type[Struct] | None = None
    """The content of a 503 that tells what was done before it."""
    remarks: Literal["never", "beside", "instead"] = "never"
    """Whether a good answer may have a message: beside its content, or instead of it."""
    changes: bool = False
    """A GET of it changes something, too."""
    large: bool = False
    """It takes bodies of over 64 KiB, up to ``BROKER_MAX_BODY``: tasks, log lines, aliases, project texts, a push."""
    store: bool = True
    """Whether it needs the store, and so can answer 503."""
    good: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    """Answers that are no refusals: status and meaning."""
    media: str = ""
    """The media type of an answer that is no envelope."""

    def status_of(self, code: str) -> int:
        """The HTTP status of a refusal with this code."""
        return self.status.get(code) or self.who.status.get(code) or STATUS[code]


PROJECT_ID = {"id": "the project's id"}
NO_SUCH_PROJECT = {"not_found": "no such project"}
NEEDS_READ = {"denied": "needs READ on the project"}
NEEDS_MANAGE_ACCESS = {"denied": "needs MANAGE_ACCESS on the project"}
NEEDS_SECRET = {"denied": "needs SECRET on the project"}
NEEDS_MAINTENANCE = {"denied": "needs MAINTENANCE on the project"}
