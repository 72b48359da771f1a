"""A claim saves other processes the work, and never prevents a job."""

from broker.settings import Settings
from broker.store import Store
from tests.stores import looking_into


async def test_a_job_is_claimed_by_one_until_the_claim_is_over(store: Store) -> None:
    assert [await store.claim("sweep", 60_000) for _ in range(2)] == [True, False]
    assert await store.claim("other", 60_000)


async def test_a_claim_that_would_last_too_long_since_the_clock_was_set_back_is_taken_over(
    store: Store, settings: Settings
) -> None:
    assert await store.claim("sweep", 1000)
    with looking_into(settings.redis_url) as client:
        client.pexpire(f"{settings.prefix}:{{directory}}:claim:sweep", 3_600_000)

    assert [await store.claim("sweep", 1000) for _ in range(2)] == [True, False]
