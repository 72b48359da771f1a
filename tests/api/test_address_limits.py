"""Limits per address on new workers, registrations and wrong passwords, over all processes of a broker."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from broker.api.requests import counted_address
from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store, open_store
from tests.client import Answer, Caller
from tests.serving import Serving
from tests.stores import keys_like, looking_into

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of two processes behind a proxy on this machine, with limits that a test can reach."""
    folder = tmp_path_factory.mktemp("limited")
    serving = Serving.start(folder, workers=2, create_limit="3", project_limit="3", register_limit="3", login_limit="5")
    yield serving
    assert serving.stop() == 0


class Client:
    """Each call on a new connection, so that every process gets some."""

    def __init__(self, serving: Serving, address: str) -> None:
        self._url = serving.url
        self._headers = {"X-Forwarded-For": address}

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        caller = Caller(self._url, self._headers | (headers or {}))
        answer = caller.post(path, body)
        caller.close()
        return answer

    def create_project(self, cookie: dict[str, str]) -> Answer:
        caller = Caller(self._url, self._headers | cookie)
        answer = caller.post("/project/create", {"name": f"project {secrets.token_hex(6)}"})
        caller.close()
        return answer

    def register(self) -> Answer:
        return self.post("/register", {"username": f"m-{secrets.token_hex(5)}", "password": PASSWORD})


def is_limited(answer: Answer, why: str, at_most: float) -> None:
    assert (answer.status, answer.code) == (429, "rate_limited"), answer
    assert answer.message.startswith(f"{why} from this address: ask again in ")
    assert 0 < answer.body["rate_limit_delay"] <= at_most
    assert int(answer.headers["retry-after"]) >= answer.body["rate_limit_delay"]
    assert "set-cookie" not in answer.headers


def test_an_address_has_to_wait_after_its_limit_of_new_workers(limited: Serving) -> None:
    busy, other = Client(limited, "192.0.2.1"), Client(limited, "192.0.2.2")
    made = [busy.post("/worker/create").content()["worker"]["id"] for _ in range(3)]

    for _ in range(4):
        is_limited(busy.post("/worker/create", {"alias": "one more"}), "Too many workers created", 20)

    # What was refused has made nothing.
    assert other.post("/worker/create").content()["worker"]["id"] == made[-1] + 1


def test_an_address_has_to_wait_after_its_limit_of_new_projects(limited: Serving) -> None:
    busy, other = Client(limited, "192.0.2.1"), Client(limited, "192.0.2.2")
    manager = Caller(limited.url)
    manager.post("/register", {"username": f"m-{secrets.token_hex(5)}", "password": PASSWORD}).content()
    cookie = {"Cookie": f"tt={manager.http.cookies['tt']}"}
    manager.close()
    made = [busy.create_project(cookie).content()["id"] for _ in range(3)]

    for _ in range(4):
        is_limited(busy.create_project(cookie), "Too many projects created", 20)

    # What was refused has made nothing.
    assert other.create_project(cookie).content()["id"] == made[-1] + 1


def test_an_address_has_to_wait_after_its_limit_of_registrations(limited: Serving) -> None:
    busy, other = Client(limited, "192.0.2.1"), Client(limited, "192.0.2.2")
    for _ in range(3):
        busy.register().content()

    for _ in range(4):
        is_limited(busy.register(), "Too many registrations", 20)
    other.register().content()


def test_registrations_that_are_refused_count_since_they_cost_a_hash(limited: Serving) -> None:
    client, name = Client(limited, "192.0.2.9"), f"m-{secrets.token_hex(5)}"
    body = {"username": name, "password": PASSWORD}

    assert [client.post("/register", body).status for _ in range(4)] == [200, 409, 409, 429]


def test_an_address_has_a_limit_of_wrong_passwords_over_all_names_and_others_still_sign_in(limited: Serving) -> None:
    owner, guesser, name = Client(limited, "192.0.2.3"), Client(limited, "192.0.2.4"), f"m-{secrets.token_hex(5)}"
    right = {"username": name, "password": PASSWORD}
    owner.post("/register", right).content()

    for n in range(5):
        assert guesser.post("/login", {"username": f"nobody {n}", "password": PASSWORD}).status == 403

    for body in (right, {"username": "another name", "password": PASSWORD}):
        is_limited(guesser.post("/login", body), "Too many wrong passwords", 12)
    for _ in range(10):
        owner.post("/login", right).content()


def test_an_address_has_a_limit_of_invalid_join_tokens(limited: Serving) -> None:
    owner, guesser = Client(limited, "192.0.2.5"), Client(limited, "192.0.2.6")
    cookie = {"Cookie": owner.register().headers["set-cookie"].split(";")[0]}
    project = owner.create_project(cookie).content()["id"]
    path, one_use = f"/project/join_tokens/{project}", {"assign": True, "uses": 1}
    used, good = [owner.post(path, one_use, cookie).content()["token"] for _ in range(2)]
    inside, outside = [credentials(owner.post("/worker/create")) for _ in range(2)]

    def join(client: Client, worker: dict[str, str], token: str) -> Answer:
        return client.post("/project/join", {"project": project, "token": token}, worker)

    join(owner, inside, used).content()
    for token in ("x", "y", "z", used, used):
        assert join(guesser, outside, token).status == 403

    for token in ("x", good):
        is_limited(join(guesser, outside, token), "Too many wrong join tokens", 12)
    # A worker that repeats its call is right each time, and another address counts for itself.
    for _ in range(10):
        join(owner, inside, used).content()
    join(owner, outside, good).content()


def credentials(created: Answer) -> dict[str, str]:
    worker = created.content()["worker"]
    return {"X-Worker-ID": str(worker["id"]), "X-Secret": worker["secret"]}


def test_a_customers_ipv6_addresses_are_one(limited: Serving) -> None:
    statuses = [Client(limited, f"2001:db8:1:2:{n}::{n}").post("/worker/create").status for n in range(1, 6)]

    assert statuses == [200, 200, 200, 429, 429]
    assert Client(limited, "2001:db8:1:3::1").post("/worker/create").status == 200
    assert Client(limited, "[2001:db8:1:2::5]:4711").post("/worker/create").status == 429


def test_only_what_the_trusted_proxy_has_added_counts(limited: Serving) -> None:
    statuses = [Client(limited, f"198.51.100.{n}, 192.0.2.77").post("/worker/create").status for n in range(5)]

    assert statuses == [200, 200, 200, 429, 429]


def test_the_header_of_an_untrusted_client_is_ignored(limited: Serving) -> None:
    with Redis(unix_socket_path=str(limited.store_socket())) as redis:
        url = f"unix://{redis.connection_pool.connection_kwargs['path']}"
        folder, proxy = limited.log.parent / "direct", "192.0.2.1"
        direct = Serving.start(folder, redis_url=url, prefix="direct", create_limit="3", trusted_proxies=proxy)

        statuses = [Client(direct, f"192.0.2.{n}").post("/worker/create").status for n in range(5)]

        assert statuses == [200, 200, 200, 429, 429]
        assert list(redis.scan_iter("direct:{directory}:address:*")) == [b"direct:{directory}:address:create:127.0.0.1"]
        assert direct.stop() == 0


def test_addresses_leave_one_key_each_which_expires(limited: Serving) -> None:
    with Redis(unix_socket_path=str(limited.store_socket())) as redis:
        for _ in range(5):
            Client(limited, "192.0.2.50").post("/worker/create")
            Client(limited, "no address at all").post("/worker/create")

        keys = list(redis.scan_iter("broker:{directory}:address:*"))

        assert b"broker:{directory}:address:create:unknown" in keys
        assert sum(b"192.0.2.50" in key for key in keys) == 1
        assert all(0 < redis.pttl(key) <= 60_000 for key in keys)


async def test_what_was_used_up_comes_back_bit_by_bit(store: Store) -> None:
    limit, noon = Settings().create_limit, 1_700_000_000_000
    store.set_clock(noon)
    address = "192.0.2.1"
    for _ in range(limit):
        await store.workers.create("w", address)

    assert await refusal_of_create(store, address) == pytest.approx(60 / limit)
    store.set_clock(noon + 60_000 // limit)
    await store.workers.create("w", address)
    assert await refusal_of_create(store, address) == pytest.approx(60 / limit)


async def refusal_of_create(store: Store, address: str) -> float | None:
    with pytest.raises(BrokerError, match="Too many workers created") as refused:
        await store.workers.create("w", address)
    return refused.value.delay


@pytest.mark.parametrize("setting", ["create_limit", "project_limit", "register_limit", "login_limit", "max_projects"])
def test_a_limit_of_0_means_no_limit(setting: str) -> None:
    assert getattr(Settings.read({f"BROKER_{setting.upper()}": "0"}), setting) == 0


async def test_without_a_limit_nothing_is_counted(settings: Settings, redis_url: str) -> None:
    store = open_store(replace(settings, create_limit=0, project_limit=0, register_limit=0, login_limit=0))
    for _ in range(20):
        await store.workers.create("w", "192.0.2.1")
    boss = await store.managers.register("boss", PASSWORD, open_to_all=True, address="192.0.2.1")
    await store.projects.create(boss.id, {"name": "p"}, "192.0.2.1")
    with pytest.raises(BrokerError, match="Wrong username"):
        await store.managers.check_password("boss", "another password", "192.0.2.1")
    await store.close()

    with looking_into(redis_url) as redis:
        assert keys_like(redis, f"{settings.prefix}:{{directory}}:address:*") == []


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("x" * 60_000, "unknown"),
        ("1.2.3.4}{", "unknown"),
    ],
)
def test_an_address_has_one_name(host: str, name: str) -> None:
    assert counted_address((host, 1)) == name


def test_no_address_has_a_name_too() -> None:
    assert counted_address(None) == "unknown"
