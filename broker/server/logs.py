"""The broker's own log: text on standard error, JSON lines in ``BROKER_LOG_FILE``."""

import asyncio
import atexit
import logging
import logging.handlers
import os
import queue
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import orjson

from broker.errors import StartError
from broker.settings import Settings
from broker.store.logs import Logs

_LEVELS = {logging.INFO: "info", logging.WARNING: "warn"}
_MAX_WAITING = 1000
request_id: ContextVar[bytes] = ContextVar("request_id", default=b"")
"""The id of the request that is being served; empty outside a request."""

_storing: ContextVar[bool] = ContextVar("storing", default=False)
_EXTRA = ("worker", "scope", "timestamp", "worker_level", "request")


class _Json(logging.Formatter):
    """``time`` in unix s, ``level``, ``logger``, ``message``, and those of ``_EXTRA`` that the record has."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class _Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record)
        if record.name == "broker.worker":
            text = f"{text} (worker {getattr(record, 'worker', '?')}, {getattr(record, 'scope', '')})"
        request = _request(record)
        return f"{text.rstrip()} (request {request})" if request else text

    def format(self, record: logging.LogRecord) -> str:
        # The text of a worker must not move the cursor or look like a second record.
        text = super().format(record)
        return text if record.exc_info else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _note_request(record: logging.LogRecord) -> bool:
    """A filter for handlers that adds the id of the current request to each record, as ``request``."""
    if id := request_id.get():
        record.request = id.decode()
    return True


def _request(record: logging.LogRecord) -> str | None:
    """The id of the request that wrote the record, set by :func:`_note_request`."""
    return getattr(record, "request", None)


def configure(settings: Settings, *, thread: bool = False) -> None:
    """With ``thread``, a thread writes the records, so that a slow disk does not delay requests."""
    text = logging.StreamHandler()
    text.setFormatter(_Text("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    text.addFilter(lambda record: record.name != "broker.worker" or record.levelno >= logging.WARNING)
    handlers: list[logging.Handler] = [text]
    if settings.log_file:
        try:
            # The texts of workers may hold secrets.
            os.close(os.open(settings.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
            file = logging.FileHandler(settings.log_file, encoding="utf-8")
        except OSError as error:
            raise StartError(f"cannot write {settings.log_file}: {error.strerror}", setting="log_file") from None
        file.setFormatter(_Json())
        handlers.append(file)

    root = logging.getLogger()
    root.setLevel(settings.log_level.upper())
    # The records of workers do not depend on the level of the broker's own log.
    logging.getLogger("broker.worker").setLevel(logging.DEBUG)
    root.handlers = _behind_a_queue(handlers) if thread else handlers
    for handler in root.handlers:
        handler.addFilter(_note_request)


def _behind_a_queue(handlers: list[logging.Handler]) -> list[logging.Handler]:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, *handlers)
    listener.start()
    atexit.register(listener.stop)
    return [_Queue(records)]


class ToStore(logging.Handler):
    """Passes the broker's own records to a coroutine that stores them for ``/logs``.

    Records that arrive faster than the store takes them, or while it does not answer, are dropped. The log file has
    them.
    """

    def __init__(self, store: Logs) -> None:
        super().__init__(logging.INFO)
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._records: asyncio.Queue[logging.LogRecord] = asyncio.Queue(_MAX_WAITING)
        self.addFilter(_note_request)
        # The records of workers are stored elsewhere, and the warnings of uvicorn about clients would be too many.
        self.addFilter(lambda record: record.name != "broker.worker")
        self.addFilter(lambda record: record.name.startswith("broker") or record.levelno >= logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        if _storing.get():
            # An error while storing a record must not become a record to store.
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, record)

    def _put(self, record: logging.LogRecord) -> None:
        with suppress(asyncio.QueueFull):
            self._records.put_nowait(record)

    async def run(self) -> None:
        _storing.set(True)
        while True:
            record = await self._records.get()
            level = _LEVELS.get(record.levelno, "error")
            message = record.getMessage().strip()
            if record.exc_info and record.exc_info[1] is not None:
                message = f"{message}: {record.exc_info[1]!r}"
            with suppress(Exception):
                await self._store.add(level, int(record.created), message, record.name, request=_request(record))


class _Queue(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Unchanged, because both ends are threads of one process."""
        return record
