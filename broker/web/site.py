"""What the pages of one process share: templates and static files."""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker import __version__
from broker.charts import chart_library
from broker.errors import BrokerError
from broker.web import formats

_FOLDER = Path(__file__).parent / "static"
_LEVEL = 6
"""Compression level: 9 would take a tenth of a second of each start, and make Chart.js only 1 % smaller."""

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class _File(NamedTuple):
    plain: bytes
    packed: bytes
    media_type: str


class Statics:
    """The files: read and compressed once, and cached by browsers for ever, because their URLs carry a version.

    Raises :class:`StartError` if a file is missing.
    """

    def __init__(self) -> None:
        paths = {path.name: path for path in sorted(_FOLDER.iterdir())} | {"chart.js": chart_library()}
        contents = {name: path.read_bytes() for name, path in paths.items()}
        self._files = {
            name: _File(plain, gzip.compress(plain, _LEVEL, mtime=0), _TYPES[paths[name].suffix])
            for name, plain in contents.items()
        }
        digest = hashlib.sha256()
        for name, plain in sorted(contents.items()):
            digest.update(f"{name} {len(plain)} ".encode() + plain)
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Below ``/ui/``. Modules find each other there by relative URLs, so one version stands for all files."""
        if name not in self._files:
            raise KeyError(name)
        return f"static/{self.version}/{name}"

    def response(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise BrokerError("not_found", "No such file")
        packed = "gzip" in request.headers.get("accept-encoding", "")
        # Another version is asked for while processes of two versions serve side by side; then nothing may be cached.
        same = request.path_params["version"] == self.version
        headers = {"Cache-Control": _FOR_EVER if same else "no-store", "Vary": "Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(file.packed if packed else file.plain, headers=headers, media_type=file.media_type)


_SLICE = 0.001
"""Seconds for which a page is rendered before others are served."""


class Rendered(Response):
    """A page made of a template, in slices."""

    def __init__(self, template: Template, values: Mapping[str, object], status: int) -> None:
        # Pages hold what only this manager may see.
        super().__init__(None, status, {"Cache-Control": "no-store"}, "text/html")
        self._pieces = template.generate(values)

    async def render_all(self) -> None:
        """Raises errors of the template or its values before anything is sent."""
        made: list[str] = []
        until = perf_counter() + _SLICE
        for piece in self._pieces:
            made.append(piece)
            if perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + _SLICE
        if made:
            self.body = "".join(made).encode()
        self.headers["content-length"] = str(len(self.body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.render_all()
        await super().__call__(scope, receive, send)


_FILTERS = (
    "number",
    "signed",
    "count",
    "percent",
    "browser",
    "size",
    "duration",
    "eta",
    "relative",
    "moment",
    "pace",
    "rate",
    "short",
    "web_link",
)


class Site:
    def __init__(self) -> None:
        self.statics = Statics()
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update({name: getattr(formats, name) for name in _FILTERS})

    def page(self, template: str, values: Mapping[str, object], status: int = 200) -> Rendered:
        shared = {"version": __version__, "static_url": self.statics.url}
        return Rendered(self._templates.get_template(template), shared | dict(values), status)

    def part(self, template: str, **values: object) -> Markup:
        """Renders a part of a page that is the same for everybody."""
        return Markup(self._templates.get_template(template).render({"version": __version__} | values))  # noqa: S704
