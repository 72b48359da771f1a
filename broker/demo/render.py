"""Renders the Python documentation with pydoc: run as a script, in a child process.

It imports every public module of the standard library, so it runs isolated (``python -I -S``), silenced, and needs
nothing but the standard library itself. On standard output it writes a line of JSON for each page: the number of all
pages, the path, the HTML. A module that cannot be imported on this machine gives an empty page.
"""

import json
import os
import pkgutil
import pydoc
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator

START = "index.html"

_EXCLUDED = {"test", "tests", "idlelib", "lib2to3", "tkinter", "this", "antigravity"}


def is_documented(name: str) -> bool:
    """A public module of the standard library that does nothing odd when it is imported."""
    parts = name.split(".")
    if parts[0] not in sys.stdlib_module_names:
        return False
    return not any(part in _EXCLUDED or part.startswith(("_", "turtle")) for part in parts)


def modules(path: Iterable[str], prefix: str = "") -> Iterator[str]:
    """Names of the documented modules below these directories; nothing is imported."""
    for module in pkgutil.iter_modules(path, prefix):
        if is_documented(module.name):
            yield module.name
            if module.ispkg:
                directory = os.path.join(getattr(module.module_finder, "path", ""), module.name.rpartition(".")[2])
                yield from modules([directory], module.name + ".")


def page_paths() -> list[str]:
    """Every page of the site. Whatever links to a page comes before it: the first N are a site as well."""
    names = set(filter(is_documented, sys.builtin_module_names)) | set(modules(sys.path))
    topics = {*pydoc.Helper.topics, *pydoc.Helper.keywords}
    return [
        *(START, "topics.html", "keywords.html"),
        *(f"{name}.html" for name in sorted(names)),
        *(f"topic?key={topic}" for topic in sorted(topics)),
    ]


def renderer() -> Callable[[str], bytes]:
    """The pages of ``pydoc -b``. Its own server imports the module again for each request; one import is enough."""
    private = vars(pydoc)
    locate = private["locate"]
    private["locate"] = lambda name, forceload=0: locate(name)
    handler: Callable[[str], str] = private["_url_handler"]

    def render(path: str) -> bytes:
        try:
            html = handler(path)
        except (Exception, SystemExit):
            return b""
        return b"" if "<title>Pydoc: Error - " in html else html.encode("utf-8", "replace")

    return render


def _silence() -> int:
    """Points the standard streams at nothing, for modules that print when imported; returns the real output."""
    output = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return output


def main(share: int, shares: int, limit: int) -> None:
    """Writes every ``shares``-th of the first ``limit`` pages; no limit when it is 0."""
    warnings.simplefilter("ignore")
    with os.fdopen(_silence(), "w") as output:
        paths = page_paths()[: limit or None]
        render = renderer()
        for path in paths[share::shares]:
            print(json.dumps([len(paths), path, render(path).decode()]), file=output, flush=True)
    os._exit(0)  # without the exit handlers of every module of the library


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
