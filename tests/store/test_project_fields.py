"""The fields of a project stand once: everything that takes or shows them has all of them."""

from broker.api.answers import Project, WholeProject
from broker.api.bodies import ProjectFields
from broker.client.types import Project as ClientProject
from broker.store.projects import DEFAULTS, FIELDS, UNLIMITED, pairs_of, values_of


def test_bodies_answers_and_the_client_have_all_fields() -> None:
    assert sorted(ProjectFields.__struct_fields__) == sorted(FIELDS)
    assert sorted(WholeProject.__struct_fields__) == sorted(["id", *FIELDS])
    with_tasks = [name for name, field in FIELDS.items() if field.with_tasks]
    assert sorted(Project.__struct_fields__) == sorted(["id", *with_tasks])
    assert sorted(ClientProject.__struct_fields__) == sorted(["id", *FIELDS])


def test_values_read_back_from_the_store_as_they_were_written() -> None:
    given = DEFAULTS | {"name": "p", "public": True, "chain": 7, "assign_rate": 2.0, "submit_rate": 0.5}
    given |= {"group_delay": 0.25, "group_limit": 3, "group_order": "fair"}
    pairs = pairs_of(given)

    read = values_of(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    assert read == given | {"assign_rate": 2, "submit_rate": 0.5}
    assert isinstance(read["assign_rate"], int)


def test_a_rate_without_a_limit_is_0_in_the_store_and_the_largest_float_in_answers() -> None:
    assert pairs_of({"assign_rate": UNLIMITED, "submit_rate": 0}) == ["assign_rate", "0", "submit_rate", "0"]
    assert values_of(dict.fromkeys(FIELDS, "0"))["assign_rate"] == UNLIMITED
