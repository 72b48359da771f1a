"""A session ends by itself, by the store's clock."""

import httpx

from broker.app import create_app
from broker.settings import Settings
from tests.store.conftest import NOON, StoreFleet
from tests.stores import keys_like, looking_into

PASSWORD = "a long password"


async def test_a_session_that_has_ended_is_refused(fleet: StoreFleet, settings: Settings) -> None:
    seconds = settings.session_ttl
    fleet.store.ready.set()
    transport = httpx.ASGITransport(app=create_app(settings, fleet.store))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker") as browser:

        async def create() -> tuple[int, str | None]:
            answer = await browser.post("/project/create", json={"name": f"project {fleet.now}"})
            return answer.status_code, answer.json().get("code")

        assert (await browser.post("/login", json={"username": "boss", "password": PASSWORD})).status_code == 200
        cookie = browser.cookies["tt"]

        fleet.passes(seconds - 0.001)
        assert await create() == (200, None)
        assert await fleet.store.managers.of_session(cookie) is not None
        (session,) = await fleet.store.managers.sessions(fleet.manager, cookie)
        assert session.ends == NOON // 1000 + seconds

        fleet.passes(0.001)
        assert await create() == (401, "not_logged_in")
        assert await fleet.store.managers.of_session(cookie) is None
        assert await fleet.store.managers.sessions(fleet.manager, cookie) == []
        page = await browser.get("/ui/account")
        assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "./sign-in")


async def test_nothing_of_a_session_stays_in_the_store(fleet: StoreFleet, settings: Settings, redis_url: str) -> None:
    manager = await fleet.store.managers.check_password("boss", PASSWORD, "127.0.0.1")
    await fleet.store.managers.open_session(manager, None)

    with looking_into(redis_url) as redis:
        (key,) = keys_like(redis, f"{settings.prefix}:{{directory}}:session:*")
        assert settings.session_ttl - 60 < redis.ttl(key) <= settings.session_ttl
        # The list is trimmed by the next one.
        fleet.passes(settings.session_ttl)
        await fleet.store.managers.open_session(manager, None)
        assert redis.zcard(f"{settings.prefix}:{{directory}}:manager:{fleet.manager}:sessions") == 1
