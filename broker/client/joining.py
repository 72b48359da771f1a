"""The header with a worker's version and host, and the join tokens with which it gets access to projects."""

import logging
import os
import re
import socket
from collections.abc import Mapping
from functools import cache

from broker import __version__
from broker.client.types import ClientError

log = logging.getLogger("broker.client")

JOIN_TOKEN = "TASK_BROKER_JOIN_TOKEN"  # noqa: S105 (a variable's name)

_TOKEN = re.compile(r"tbj_([1-9][0-9]{0,8})_[A-Za-z0-9_-]{1,200}")
_OTHER = re.compile("[^!-:<-~]+")
"""Characters that the header cannot contain, and its separators."""

_LONGEST_VERSION, _LONGEST_HOST = 60, 110


class JoinTokens:
    """``text``: tokens with spaces or commas between them; None: those of the variable TASK_BROKER_JOIN_TOKEN.

    Each token names its project, and is used only there. Raises :class:`ClientError` for a text that is not a token;
    the error does not contain the text.
    """

    def __init__(self, text: str | None = None) -> None:
        self.of_project: dict[int, str] = {}
        where = f"{JOIN_TOKEN}: " if text is None else ""
        for token in re.split(r"[\s,]+", os.environ.get(JOIN_TOKEN, "") if text is None else text):
            match = _TOKEN.fullmatch(token)
            if match:
                self.of_project[int(match[1])] = token
            elif token:
                raise ClientError(f"{where}not a join token: one begins with tbj_ and the id of its project")


@cache
def worker_info(version: str = "") -> Mapping[str, str]:
    """The header that shows managers the ``version`` and the host; by default, the version of this library."""
    shown = _fitting(version or f"task-broker/{__version__}", _LONGEST_VERSION)
    return {"X-Worker-Info": f"version={shown}; host={_fitting(socket.gethostname(), _LONGEST_HOST)}"}


def _fitting(text: str, longest: int) -> str:
    return _OTHER.sub("-", text)[:longest]
