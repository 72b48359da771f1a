"""Rendering: which pages there are, and what the child processes send."""

import asyncio
import pydoc
from pathlib import Path

import pytest

from broker.demo import site as render
from broker.demo.site import DemoError, Site, render_pages


@pytest.mark.parametrize("name", ["os", "json.decoder", "xml.dom.minidom", "builtins"])
def test_public_modules_of_the_standard_library_are_documented(name: str) -> None:
    assert render.is_documented(name)


@pytest.mark.parametrize(
    "name",
    [
        *("_thread", "asyncio.__main__", "importlib._bootstrap", "__main__", "httpx"),
        *("test.support", "ctypes.test", "idlelib.idle", "lib2to3.main", "tkinter.ttk"),
        *("turtle", "turtledemo.clock", "this", "antigravity"),
    ],
)
def test_private_foreign_and_odd_modules_are_not_documented(name: str) -> None:
    assert not render.is_documented(name)


def test_the_site_has_a_page_for_each_module_and_topic_once_and_a_package_comes_before_its_modules() -> None:
    paths = render.page_paths()

    assert paths[0] == render.START
    assert len(paths) == len(set(paths)) > 500
    assert paths.index("json.html") < paths.index("json.decoder.html")
    assert "topic?key=and" in paths


def test_a_module_that_cannot_be_imported_gives_an_empty_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(pydoc), "locate", pydoc.locate)
    page = render.renderer()

    assert page("no_such_module.html") == b""
    assert b"getcwd" in page("os.html")


def test_the_first_pages_are_a_site_in_which_every_page_can_be_reached(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    pages = asyncio.run(render_pages(7, tmp_path, lambda done, total: heard.append((done, total))))
    site = Site(pages)

    assert sorted(pages) == sorted(render.page_paths()[:7])
    assert site.walk() == pages.keys()
    assert heard == [(done, 7) for done in range(1, 8)]
    assert not list(tmp_path.iterdir())


def test_a_child_process_that_ends_early_is_an_error_and_not_a_smaller_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ends_early.py"
    script.write_text("import sys; sys.stdout.buffer.write(bytes([0, 0, 0, 9, 0, 1, 0]))")
    monkeypatch.setattr(render, "__file__", str(script))

    with pytest.raises(DemoError, match="ended early"):
        asyncio.run(render_pages(9, tmp_path, lambda done, total: None))
