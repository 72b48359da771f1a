"""What the pages of one process share: templates, files, trends."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from broker import __version__
from broker.web import formats
from broker.web.static_files import Statics
from broker.web.trends import Trends

_FILTERS = (
    "number",
    "signed",
    "count",
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
    """What the pages of one process share."""

    def __init__(self) -> None:
        self.statics = Statics()
        self.trends = Trends()
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update({name: getattr(formats, name) for name in _FILTERS})

    def page(self, template: str, values: Mapping[str, object], status: int = 200) -> Response:
        html = self._templates.get_template(template).render(
            {"version": __version__, "static_url": self.statics.url} | dict(values)
        )
        # Pages hold what only this manager may see.
        return Response(html, status, {"Cache-Control": "no-store"}, "text/html")

    def part(self, template: str, **values: object) -> Markup:
        """Of a page, which is the same for everybody."""
        return Markup(self._templates.get_template(template).render({"version": __version__} | values))  # noqa: S704
