"""Submitting: what is accepted unchanged, what is refused and why, what is a duplicate."""

from typing import Any

import pytest

from tests.client import Fleet

TEST_HASH = 6838688128588807185
"""The hash of the unique_string ``test``."""


def test_a_submit_answers_the_ids_that_gets_hand_out(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    ids = [worker.submit(project), worker.submit(project)]

    assert ids == [100_000 + project, 200_000 + project]
    assert [worker.take(project)["id"], worker.take(project)["id"]] == ids


@pytest.mark.parametrize(
    "recipe",
    [
        " ",
        "a\x00b",
        "".join(map(chr, range(1, 0xA0))),
        "\x00",
        '{"url": "https://example.org/?a=1&b=\\"2\\""}',
        "\u00e9\u0301 \u05d0\u202e \u200b\ufeff \u2028\u2029 \ufffe\uffff",
        "\N{GRINNING FACE}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}\U0010ffff",
        "\r\n$5\r\nhello\r\n",
    ],
)
def test_a_recipe_comes_back_byte_for_byte(fleet: Fleet, recipe: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    worker.submit(project, recipe)

    assert worker.take(project)["recipe"] == recipe


def test_a_recipe_may_be_sent_escaped_or_as_it_is(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    worker.post("/task/submit", rf'{{"project": {project}, "recipe": "\ud83d\ude00\u0000\/"}}').content()
    worker.post("/task/submit", f'{{"project": {project}, "recipe": "\U0001f600"}}'.encode()).content()

    assert [worker.take(project)["recipe"], worker.take(project)["recipe"]] == ["\U0001f600\x00/", "\U0001f600"]


@pytest.mark.parametrize("recipe", ["x" * (1 << 20), "\u00e9" * (1 << 19), "\U0001f600" * (1 << 18)])
def test_a_recipe_of_exactly_1_mib_is_taken(fleet: Fleet, recipe: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    worker.submit(project, recipe)

    assert worker.take(project)["recipe"] == recipe


@pytest.mark.parametrize("recipe", ["x" * ((1 << 20) + 1), "\u00e9" * (1 << 19) + "x", "\U0001f600" * ((1 << 18) + 1)])
def test_a_recipe_over_1_mib_of_utf_8_is_too_large(fleet: Fleet, recipe: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.post("/task/submit", {"project": project, "recipe": recipe})

    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.message.startswith("recipe")
    assert worker.get(f"/task/get/{project}").code == "no_task"


@pytest.mark.parametrize(
    ("field", "smallest", "largest"),
    [
        ("priority", -(2**15), 2**15 - 1),
        ("max_retries", 0, 2**15 - 1),
        ("max_assign_time", 0, 2**31 - 1),
        ("verification_count", 0, 2**15 - 1),
    ],
)
def test_a_number_is_taken_to_its_edges_and_refused_beyond(
    fleet: Fleet, field: str, smallest: int, largest: int
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    for edge in (smallest, largest):
        given: dict[str, Any] = {field: edge}
        worker.submit(project, **given)
        read_back = 1 if (field, edge) == ("verification_count", 0) else edge
        task = worker.take(project)
        assert task[field] == read_back
    for beyond in (smallest - 1, largest + 1, -(2**63) - 1, 2**63, 2**64, 10**400):
        answer = worker.post("/task/submit", {"project": project, "recipe": "x", field: beyond})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith(f"{field}:")
    assert worker.get(f"/task/get/{project}").code == "no_task"


@pytest.mark.parametrize("edge", [-(2**63), -(2**53) - 1, -1, 1, 2**53 + 1, 2**63 - 1])
def test_a_hash_is_kept_exactly(fleet: Fleet, edge: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, hash64=edge)

    again = worker.post("/task/submit", {"project": project, "recipe": "other", "hash64": edge})
    assert (again.status, again.code) == (409, "duplicate")
    worker.submit(project, hash64=edge - 1 if edge > 0 else edge + 1 or 1)


@pytest.mark.parametrize("name", ["hash64", "hash_u64"])
@pytest.mark.parametrize("beyond", [-(2**63) - 1, 2**63, 2**64 - 1, 10**400])
def test_a_hash_beyond_64_bits_is_refused(fleet: Fleet, name: str, beyond: int) -> None:
    project = fleet.project()

    answer = fleet.worker(project).post("/task/submit", {"project": project, "recipe": "x", name: beyond})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(name)


def test_a_unique_string_is_the_siphash_of_it(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, unique_string="test")

    for same in ({"hash64": TEST_HASH}, {"hash_u64": TEST_HASH}, {"unique_string": "test"}, {"unique_str": "test"}):
        answer = worker.post("/task/submit", {"project": project, "recipe": "x", **same})
        assert (answer.status, answer.code) == (409, "duplicate")
        assert answer.message
    worker.submit(project, unique_string="test2")
    worker.submit(project, hash64=TEST_HASH + 1)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\U0001f600", "x" * 100_000])
def test_any_text_can_be_a_unique_string(fleet: Fleet, text: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, unique_string=text)

    assert worker.post("/task/submit", {"project": project, "recipe": "x", "unique_string": text}).status == 409
    worker.submit(project, unique_string=f"{text}\x00")


@pytest.mark.parametrize(
    "none",
    [
        {"hash64": 0, "unique_string": ""},
        {"hash64": 0},
        {"unique_string": ""},
        {"hash_u64": 0, "unique_str": ""},
        {"hash64": None, "unique_string": None, "hash_u64": None, "unique_str": None},
        {},
    ],
)
def test_a_hash_of_0_and_an_empty_string_are_no_hash(fleet: Fleet, none: dict[str, Any]) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    assert worker.submit(project, **none) != worker.submit(project, **none)


@pytest.mark.parametrize(
    ("both", "field"),
    [
        ({"hash64": 5, "unique_string": "a"}, "unique_string"),
        ({"hash_u64": 5, "unique_str": "a"}, "unique_str"),
        ({"hash64": 5, "hash_u64": 6}, "hash_u64"),
        ({"unique_string": "a", "unique_str": "b"}, "unique_str"),
    ],
)
def test_two_hashes_that_contradict_each_other_are_refused(fleet: Fleet, both: dict[str, Any], field: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.post("/task/submit", {"project": project, "recipe": "x", **both})

    assert (answer.status, answer.code) == (400, "invalid")
    assert field in answer.message
    assert worker.get(f"/task/get/{project}").code == "no_task"


@pytest.mark.parametrize(
    "same", [{"hash64": 5, "hash_u64": 5}, {"hash64": 5, "unique_string": ""}, {"hash_u64": 5, "unique_str": None}]
)
def test_two_spellings_that_say_the_same_are_taken(fleet: Fleet, same: dict[str, Any]) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    worker.submit(project, **same)

    assert worker.post("/task/submit", {"project": project, "recipe": "x", "hash64": 5}).status == 409


def test_a_hash_is_free_again_once_its_task_is_closed_and_not_before(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    first = worker.submit(project, hash64=5)
    again = {"project": project, "recipe": "again", "hash64": 5}

    worker.take(project)
    assert worker.post("/task/submit", again).status == 409
    worker.release(first)
    assert worker.post("/task/submit", again).status == 200

    worker.release(worker.take(project)["id"], result=1)
    assert worker.post("/task/submit", again).status == 409


def test_a_closed_task_is_remembered_where_the_project_says_so(fleet: Fleet) -> None:
    project = fleet.project(remember_closed=-1)
    worker = fleet.worker(project)
    worker.submit(project, unique_string="https://example.org/")
    worker.release(worker.take(project)["id"])

    again = worker.post("/task/submit", {"project": project, "recipe": "x", "unique_string": "https://example.org/"})

    assert (again.status, again.code) == (409, "duplicate")


def test_the_same_hash_is_no_duplicate_in_another_project(fleet: Fleet) -> None:
    one, other = fleet.project(), fleet.project()
    worker = fleet.worker(one, other)

    worker.submit(one, hash64=5)
    worker.submit(other, hash64=5)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"recipe": None}, "recipe"),
        ({"recipe": ""}, "recipe"),
        ({"recipe": 5}, "recipe"),
        ({"recipe": ["x"]}, "recipe"),
        ({"project": None}, "project"),
        ({"project": 0}, "project"),
        ({"project": -1}, "project"),
        ({"project": "1"}, "project"),
        ({"project": 1.5}, "project"),
        ({"project": 1.0}, "project"),
        ({"project": True}, "project"),
        ({"project": 2**63}, "project"),
        ({"project": 10**400}, "project"),
        ({"priority": "high"}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"max_retries": False}, "max_retries"),
        ({"hash64": "5"}, "hash64"),
        ({"hash_u64": 5.0}, "hash_u64"),
        ({"unique_string": 5}, "unique_string"),
        ({"unique_str": {}}, "unique_str"),
    ],
)
def test_an_invalid_task_is_refused_by_the_name_of_its_field(fleet: Fleet, wrong: dict[str, Any], field: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.post("/task/submit", {"project": project, "recipe": "x", **wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_unknown_fields_are_ignored(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    worker.submit(project, id=5, status=9, assignee="me", whatever=[{}])

    assert worker.take(project)["status"] == 1
