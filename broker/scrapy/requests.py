"""Scrapy's requests as recipes of tasks, in JSON, and back."""

import base64
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from scrapy import Request, Spider

from broker.client import NewTask

_DEFAULTS = {"encoding": "utf-8", "method": "GET", "priority": 0}

_PLAIN = {"url", "callback", "errback", "method", "headers", "body", "encoding", "priority", "dont_filter"}
"""Attributes whose type is known. Others, such as ``meta``, may have any type."""

_NO_CALLBACKS = {name for name, _ in inspect.getmembers(Spider, inspect.isfunction)} - {"parse", "_parse"}
"""Methods of every spider, which a recipe cannot name."""

AGAIN_IN = "broker_again_in"
"""The meta key of the seconds after which a crawled request comes again."""


class NotCarried(ValueError):
    """A request that cannot be a task. The text says why."""


class OtherSpider(ValueError):
    """A task whose request is for another spider."""


class Requests:
    """The requests of one spider; its methods are callbacks and errbacks by their names."""

    def __init__(self, spider: Spider) -> None:
        self._spider = spider
        self._names = _method_names(type(spider))

    def recipe(self, request: Request) -> str:
        """The request as a recipe. Raises :class:`NotCarried` if JSON would not restore the same request."""
        fields: dict[str, Any] = {name: getattr(request, name) for name in request.attributes}
        fields |= {name: self._name(name, fields[name]) for name in ("callback", "errback")}
        if type(request) is not Request:
            fields["_class"] = f"{type(request).__module__}.{type(request).__qualname__}"
            _request_class(fields["_class"])
        return encoded(self._spider.name, fields)

    def request(self, recipe: str) -> Request:
        """The request of a recipe, which may also be only a URL. Raises :class:`ValueError` if the recipe is not
        valid.
        """
        if not recipe.startswith("{"):
            return Request(recipe.strip())
        try:
            fields = msgspec.json.decode(recipe, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"the recipe is not JSON: {error}") from None
        spider = fields.pop("spider", self._spider.name)
        if spider != self._spider.name:
            raise OtherSpider(f"the task is for the spider {spider!r}, not for {self._spider.name!r}")
        try:
            return self._rebuilt(fields)
        except Exception as error:  # of any kind: every worker with submit access may have written it
            raise ValueError(f"the recipe is not a request: {error}") from None

    def _rebuilt(self, fields: dict[str, Any]) -> Request:
        made = _request_class(fields.pop("_class")) if "_class" in fields else Request
        given = {name: value for name, value in fields.items() if name in made.attributes}
        for name in ("callback", "errback"):
            if name in given:
                given[name] = self._method(given[name])
        if "headers" in given:
            given["headers"] = {
                name.encode("latin-1"): [value.encode("latin-1") for value in values]
                for name, values in given["headers"].items()
            }
        if "body" in given:
            given["body"] = base64.b64decode(given["body"], validate=True)
        return made(**given)

    def _name(self, kind: str, function: Any) -> str | None:
        if function is None:
            return None
        name = self._names.get(getattr(function, "__func__", None))
        if name is None or function.__self__ is not self._spider:
            raise NotCarried(f"its {kind} is not a method of the spider")
        return name

    def _method(self, name: str) -> Any:
        if name not in self._names.values():
            raise ValueError(f"the spider {self._spider.name!r} has no method {name!r}")
        return getattr(self._spider, name)


def encoded(spider: str, fields: Mapping[str, Any]) -> str:
    """The recipe of a request, given as the dictionary of Scrapy. Raises :class:`NotCarried`."""
    for name in fields.keys() - _PLAIN:
        _check(name, fields[name])
    given = {name: value for name, value in fields.items() if value and value != _DEFAULTS.get(name)}
    try:
        if headers := given.get("headers"):
            given["headers"] = {
                name.decode("latin-1"): [value.decode("latin-1") for value in values]
                for name, values in headers.items()
            }
        if body := given.get("body"):
            given["body"] = base64.b64encode(body).decode()
        return msgspec.json.encode({"spider": spider, **given}).decode()
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotCarried(str(error)) from None


def new_task(recipe: str, *, priority: int, group: str, hash64: int) -> NewTask:
    """``priority``: any number, as in Scrapy; it is limited to 16 bits."""
    return NewTask(recipe, priority=max(-(2**15), min(priority, 2**15 - 1)), group=group_of(group), hash64=hash64)


def group_of(slot: object) -> str:
    """The group of a download slot: at most 255 bytes, without control characters."""
    text = "".join(filter(str.isprintable, str(slot)))
    return text.encode(errors="replace")[:255].decode(errors="ignore")


def _check(name: str, value: Any) -> None:
    """Raises :class:`NotCarried` for a value that JSON would not restore unchanged."""
    if not value:
        return
    try:
        same = msgspec.json.decode(msgspec.json.encode(value)) == value
    except (TypeError, ValueError, OverflowError, RecursionError):
        same = False
    if same:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise NotCarried(f"JSON cannot carry the key {key!r} of its {name}")
            _check(f"{name}[{key!r}]", inner)
    raise NotCarried(f"JSON cannot carry its {name}, a {type(value).__name__}")


@cache
def _request_class(path: str) -> type[Request]:
    """A class that this program has imported: a recipe cannot make it import anything."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Request)):
        raise NotCarried(f"{path} is not a request class that this program has imported")
    return found


def _method_names(spider: type[Spider]) -> dict[Any, str]:
    """The methods that a recipe may name."""
    return {
        function: name
        for name, function in inspect.getmembers(spider, inspect.isfunction)
        if not name.startswith("__") and name not in _NO_CALLBACKS
    }
