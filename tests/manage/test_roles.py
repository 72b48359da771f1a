"""Roles on projects, and tracker admins."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Caller, Fleet, ManagerCaller
from tests.serving import Serving

MANAGE_ACCESS = 4


def set_role(caller: Caller, project: int, manager: int, role: int) -> int:
    return caller.post(f"/manager/set_role_for_project/{project}", {"manager": manager, "role": role}).status


def roles(caller: Caller, project: int) -> dict[int, int]:
    """Bits by manager."""
    rows = caller.get(f"/manager/list_for_project/{project}").content()["managers"]
    return {row["manager"]["id"]: row["role"] for row in rows}


@pytest.fixture(scope="module")
def four(serving: Serving, admin: Caller) -> Iterator[tuple[Fleet, list[ManagerCaller]]]:
    """Four managers, none of them admin."""
    fleet = Fleet(serving.url, admin)
    yield fleet, [fleet.manager() for _ in range(4)]
    fleet.close()


PLACE = st.integers(0, 3)
CHANGES = st.lists(st.tuples(PLACE, PLACE, st.integers(0, 31)), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(first=st.lists(st.integers(0, 31), min_size=4, max_size=4), changes=CHANGES)
def test_no_sequence_of_changes_gives_a_role_that_no_holder_of_it_gave(
    four: tuple[Fleet, list[ManagerCaller]], first: list[int], changes: list[tuple[int, int, int]]
) -> None:
    fleet, managers = four
    ids = [manager.id for manager in managers]
    project = fleet.project()
    for id, role in zip(ids, first, strict=True):
        assert set_role(fleet.admin, project, id, role) == 200
    held = before = roles(fleet.admin, project)

    for asking, about, role in changes:
        own, other = (held.get(ids[place], 0) for place in (asking, about))
        allowed = bool(own & MANAGE_ACCESS) and (other ^ role) & ~own == 0
        assert set_role(managers[asking], project, ids[about], role) == (200 if allowed else 403)

        before, held = held, roles(fleet.admin, project)
        changed = {id: held.get(id, 0) ^ before.get(id, 0) for id in held.keys() | before.keys()}
        assert {id: bits for id, bits in changed.items() if bits} == (
            {ids[about]: other ^ role} if allowed and other != role else {}
        )
        assert all(bits & ~own == 0 for bits in changed.values())


def test_a_creator_holds_all_roles_and_only_there(fleet: Fleet) -> None:
    manager = fleet.manager()
    project = fleet.project(manager)

    assert roles(manager, project) == {manager.id: 31}
    assert set_role(manager, fleet.project(), manager.id, 31) == 403


def test_role_0_removes_a_manager_from_the_list(fleet: Fleet) -> None:
    project, manager = fleet.project(), fleet.manager()
    set_role(fleet.admin, project, manager.id, 9)
    assert roles(manager, project)[manager.id] == 9

    assert set_role(fleet.admin, project, manager.id, 0) == 200

    assert manager.id not in roles(manager, project)
    assert manager.get(f"/project/tasks/{project}").status == 403


@pytest.mark.parametrize("role", [-1, 32, 2**63, "1", 1.5, None, True, [1]])
def test_an_invalid_role_is_refused(fleet: Fleet, role: object) -> None:
    body = {"manager": fleet.manager().id, "role": role}

    answer = fleet.admin.post(f"/manager/set_role_for_project/{fleet.project()}", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("role: ")


def test_unknown_managers_and_projects_are_not_found(fleet: Fleet) -> None:
    project, manager = fleet.project(), fleet.manager()

    assert set_role(fleet.admin, project, 10**9, 1) == 404
    assert set_role(fleet.admin, 99_999, manager.id, 1) == 404
    assert fleet.admin.get("/manager/list_for_project/99999").status == 404
    assert fleet.admin.post(f"/manager/promote/{10**9}").status == 404
    assert fleet.admin.post(f"/manager/demote/{2**53}").status == 404


def is_admin(caller: Caller) -> bool:
    found: bool = caller.get("/account").content()["manager"]["tracker_admin"]
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_promotion_and_its_end_hold_at_once_in_open_sessions(fleet: Fleet, method: str) -> None:
    manager, project = fleet.manager(), fleet.project(hidden=True)
    assert manager.get(f"/project/get/{project}").status == 403

    promoted = fleet.admin.send(method, f"/manager/promote/{manager.id}")

    assert (promoted.status, promoted.body) == (204, {})
    assert is_admin(manager)
    assert manager.get(f"/project/get/{project}").status == 200
    assert manager.post("/worker/set_paused", {"worker": fleet.worker().id, "paused": True}).status == 200

    demoted = fleet.admin.send(method, f"/manager/demote/{manager.id}")

    assert (demoted.status, demoted.body) == (204, {})
    assert not is_admin(manager)
    assert manager.get(f"/project/get/{project}").status == 403
    assert manager.send(method, f"/manager/promote/{manager.id}").status == 403


@pytest.mark.parametrize("call", ["promote", "demote"])
def test_managers_cannot_promote_or_demote_themselves(fleet: Fleet, call: str) -> None:
    boss = fleet.manager()
    assert fleet.admin.post(f"/manager/promote/{boss.id}").status == 204

    answer = boss.post(f"/manager/{call}/{boss.id}")

    assert (answer.status, answer.code) == (403, "denied")
    assert is_admin(boss)
    assert fleet.admin.post(f"/manager/demote/{boss.id}").status == 204


def test_two_admins_who_demote_each_other_at_once_leave_one(fleet: Fleet) -> None:
    for _ in range(10):
        pair = [fleet.manager(), fleet.manager()]
        for manager in pair:
            assert fleet.admin.post(f"/manager/promote/{manager.id}").status == 204
        ready, statuses = threading.Barrier(2, timeout=20), [0, 0]

        def demote(
            place: int, pair: list[ManagerCaller] = pair, ready: threading.Barrier = ready, to: list[int] = statuses
        ) -> None:
            ready.wait()
            to[place] = pair[place].post(f"/manager/demote/{pair[1 - place].id}").status

        threads = [threading.Thread(target=demote, args=(place,)) for place in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert sorted(statuses) == [204, 403]
        assert [is_admin(manager) for manager in pair] == [status == 204 for status in statuses]
        assert fleet.admin.post(f"/manager/demote/{pair[statuses.index(204)].id}").status == 204
