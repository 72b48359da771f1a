"""The page of a project's groups: in states, in pages, one by name, whatever the names are."""

import html
import re

import httpx
import pytest

from tests.client import Caller, Fleet

ROW = re.compile(r'<th scope="row"><a href="([^"]+)"><bdi class="user"[^>]*>([^<]*)</bdi></a></th>')


def page(fleet: Fleet, project: int, query: str = "", manager: Caller | None = None) -> httpx.Response:
    return (manager or fleet.admin).http.get(f"/ui/projects/{project}/groups{query}")


def submit(fleet: Fleet, project: int, *groups: str) -> None:
    requests = [{"project": project, "recipe": "r", "group": group} for group in groups]
    fleet.worker(project).post("/task/bulk_submit", {"requests": requests}).content()


@pytest.mark.parametrize(
    "name", ["<b>&\"'", "x" * 255, "a&b=c#d?e/f%20+g", " a  b ", "</bdi></script>", "\N{GRINNING FACE}" * 63]
)
def test_a_name_is_text_and_a_link_to_its_group(fleet: Fleet, name: str) -> None:
    project = fleet.project()
    submit(fleet, project, name)

    listed = page(fleet, project, "?state=ready")
    ((link, _),) = ROW.findall(listed.text)
    one = fleet.admin.http.get(str(listed.url.join(html.unescape(link))))
    ((_, shown),) = ROW.findall(one.text)

    assert one.status_code == 200
    assert html.unescape(shown) == name
    assert f'name="group" value="{shown}"' in one.text
    (task,) = re.findall(
        r'href="([^"]*groups\?group=[^"]+)"', fleet.admin.http.get(f"/ui/projects/{project}/tasks").text
    )
    assert task == link


def test_many_groups_come_in_pages_each_once(fleet: Fleet) -> None:
    project = fleet.project()
    names = {f"host {n} & more" for n in range(230)}
    submit(fleet, project, *names)

    answer, seen, pages = page(fleet, project), [], 1
    while True:
        seen += [html.unescape(name) for _, name in ROW.findall(answer.text)]
        onward = re.search(r'href="([^"]+)" rel="next"', answer.text)
        if not onward:
            break
        answer, pages = fleet.admin.http.get(str(answer.url.join(html.unescape(onward[1])))), pages + 1

    assert sorted(seen) == sorted(names)
    assert pages == 3
    assert "First page" in answer.text


def test_a_group_that_was_never_seen_has_zeros(fleet: Fleet) -> None:
    answer = page(fleet, fleet.project(), "?group=never.example")

    assert re.findall(r'data-label="(?:Waiting|Running)">(\d+)', answer.text) == ["0", "0"]


def test_an_invalid_group_or_page_is_refused(fleet: Fleet) -> None:
    project = fleet.project()

    for query, why in (
        (f"?group={'x' * 256}", "longer than 255 bytes"),
        ("?group=a%0Ab", "control characters"),
        ("?after=nonsense", "after: not what the page before answered"),
    ):
        answer = page(fleet, project, query)
        assert answer.status_code == 400
        assert why in answer.text
    assert page(fleet, project, "?state=nonsense").status_code == 200


def test_without_read_a_project_tells_how_many_groups_there_are_but_not_which(fleet: Fleet) -> None:
    project, stranger = fleet.project(), fleet.manager()
    empty = fleet.project()
    submit(fleet, project, "a", "b")

    assert page(fleet, project, manager=stranger).status_code == 403
    summary = stranger.http.get(f"/ui/projects/{project}").text
    assert 'id="groups-ready">2<' in summary
    assert "/groups" not in summary
    assert "/groups?state=blocked" in fleet.admin.http.get(f"/ui/projects/{project}").text
    assert "groups-ready" not in fleet.admin.http.get(f"/ui/projects/{empty}").text
