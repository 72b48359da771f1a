"""docs/http-api.md, made from what stands beside each handler: ``python -m broker.openapi.page`` prints it."""

import json
import re
import textwrap
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from broker.api import routes
from broker.openapi.document import document
from broker.openapi.reference import Call, reference
from broker.settings import Settings


def page() -> str:
    """The whole page, of a broker with default settings."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - the page is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    examples = {(method, route.path): route.operation.example for route in routes() for method in route.methods}
    text = templates.get_template("http-api.md.jinja").render(
        reference=reference(document(routes(), Settings())), examples=examples, anchor=_anchor, shown=_shown
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _anchor(call: Call) -> str:
    """Of the heading of a call, as it is made on GitHub: lower case, no punctuation, a hyphen for each space."""
    heading = f"{' '.join(call.methods)} {call.path}"
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _shown(start: str, value: object) -> str:
    """A request or an answer as an example shows it: JSON in lines of 118 characters."""
    text = start if value is None else f"{start}  {json.dumps(value, ensure_ascii=False)}"
    return textwrap.fill(text, 118, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(page(), end="")
