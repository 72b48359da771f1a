"""Passwords: a proof counts only for the current password, and one address cannot block all logins."""

import asyncio

import pytest

from broker.errors import BrokerError
from broker.store import Store
from broker.store.managers import _HASHER, _NOBODY, WAITING

OLD, NEW, HERE, THERE = "a long password", "another password", "192.0.2.1", "192.0.2.2"


async def test_a_login_that_began_before_the_password_was_changed_gets_no_session(store: Store) -> None:
    await store.managers.register("boss", OLD, open_to_all=True)
    late = await store.managers.check_password("boss", OLD, HERE)
    changing = await store.managers.check_password("boss", OLD, THERE)
    await store.managers.set_password(changing, NEW, THERE)

    with pytest.raises(BrokerError) as refused:
        await store.managers.open_session(late, None)

    assert refused.value.code == "bad_credentials"
    assert await store.managers.sessions(late.id, "") == []
    await store.managers.open_session(await store.managers.check_password("boss", NEW, HERE), None)


async def test_of_two_changes_of_a_password_that_meet_the_first_holds(store: Store) -> None:
    await store.managers.register("boss", OLD, open_to_all=True)
    first = await store.managers.check_password("boss", OLD, HERE)
    second = await store.managers.check_password("boss", OLD, HERE)

    await store.managers.set_password(first, NEW, HERE)
    with pytest.raises(BrokerError, match="Wrong username or password"):
        await store.managers.set_password(second, "what the thief likes", HERE)

    await store.managers.check_password("boss", NEW, HERE)


async def test_a_crowd_of_logins_from_one_address_has_a_share_of_the_turns_and_no_more(store: Store) -> None:
    await store.managers.register("boss", OLD, open_to_all=True)
    ended: list[str] = []

    async def sign_in(address: str, password: str) -> str:
        try:
            await store.managers.check_password("boss", password, address)
            code = "in"
        except BrokerError as error:
            code = f"{error.code}, {error.delay} s"
        ended.append(address)
        return code

    crowd = [asyncio.create_task(sign_in(HERE, OLD)) for _ in range(100)]
    other = asyncio.create_task(sign_in(THERE, OLD))
    codes = await asyncio.gather(*crowd)

    assert await other == "in"
    assert codes == ["in"] * WAITING + ["rate_limited, 1 s"] * (100 - WAITING)
    # Those of the crowd who were let wait went first, and nobody else.
    assert ended.index(THERE) == 100
    assert await sign_in(HERE, OLD) == "in"


async def test_a_login_of_nobody_takes_the_same_parameters(store: Store) -> None:
    assert not _HASHER.check_needs_rehash(_NOBODY)
    assert not _HASHER.check_needs_rehash((await store.managers.register("boss", OLD, open_to_all=True)).hashed)
