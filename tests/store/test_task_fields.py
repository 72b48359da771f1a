"""The fields of a task stand once: everything that takes or shows them has all of them."""

from inspect import signature

import pytest

from broker.api.answers import ManagedTask, Task
from broker.api.bodies import SubmitTask
from broker.client import Client, NewTask, TaskRow
from broker.client import Task as ClientTask
from broker.store.task_fields import TaskFields
from broker.transfer.files import TaskLine

FIELDS = {*TaskFields._fields} - {"start"}
OTHER_WAYS = {"delay", "not_before", "unique_string", "unique_str", "hash_u64"}
"""Of saying when a new task starts, and what its hash is."""


def test_what_submits_a_task_takes_its_fields_and_no_others() -> None:
    for taken in (SubmitTask.__struct_fields__, NewTask.__struct_fields__, signature(Client.submit).parameters):
        assert {*taken} - {"self", "project"} - OTHER_WAYS == FIELDS


@pytest.mark.parametrize("shown", [Task, ClientTask, ManagedTask, TaskRow, TaskLine])
def test_what_shows_a_task_has_its_fields(shown: type[Task]) -> None:
    for_workers = {"hash64"} if shown in {Task, ClientTask} else set()
    assert FIELDS - for_workers <= {*shown.__struct_fields__}
