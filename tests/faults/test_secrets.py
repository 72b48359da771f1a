"""Secrets that pass through the API are in no log and no refusal; only those that it must return are stored."""

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.routing import Route

from broker.api import routes
from tests.client import exchange
from tests.servers import a_server
from tests.serving import Serving, until

ROUTES = [route for route in routes() if isinstance(route, Route)]
SHOWS = (
    "/worker/create",
    "/worker/rotate_secret",
    "/project/secret/",
    "/project/webhook_secret/",
    "/project/join_tokens/",
)
"""Calls whose answer is a secret."""


def word() -> str:
    return f"s3cret-{secrets.token_hex(12)}"


class Spy:
    """Sends calls, and keeps all answers that must contain no secret."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=20, verify=False)
        self.told: list[str] = []
        self.codes: set[str] = set()

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, cookie: str = ""
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {**(headers or {}), **({"Cookie": f"tt={cookie}"} if cookie else {})}
        response = self.http.request(method, path, content=content, headers=given)
        self.http.cookies.clear()
        if response.status_code >= 400 or not path.startswith(SHOWS):
            said = [f"{name}: {value}" for name, value in response.headers.items() if name != "set-cookie"]
            self.told.append("\n".join([method, path, *said, response.text]))
        with suppress(ValueError):
            self.codes.add(response.json().get("code", ""))
        return response

    def content(self, path: str, body: Any = None, **options: Any) -> Any:
        response = self.send("POST", path, body, **options)
        assert response.status_code == 200, response.text
        return response.json().get("content")


class Story:
    """Sends all kinds of secrets to a broker, in calls that succeed and fail."""

    def __init__(self, folder: Path) -> None:
        self.redis_password = word()
        self.log = folder / "broker.log"
        self._server = a_server(folder / "store", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000")
        port = self._server.__enter__()
        with Redis(port=port) as redis:
            redis.config_set("requirepass", self.redis_password)
        self.redis = Redis(port=port, password=self.redis_password, encoding_errors="replace", decode_responses=True)
        url = f"redis://:{self.redis_password}@127.0.0.1:{port}/0"
        self.serving = Serving.start(
            folder / "broker", log_level="debug", log_file=str(self.log), redis_url=url, redis_timeout="1"
        )
        self.spy = Spy(self.serving.url)
        self.guesses = [word() for _ in range(4)]
        self.passwords = [word(), word()]
        self.project_secrets = [word(), word()]

    def signs_up(self) -> None:
        first = self.spy.send("POST", "/register", {"username": "ada", "password": self.passwords[0]})
        again = self.spy.send("POST", "/login", {"username": "ada", "password": self.passwords[0]})
        self.cookies = [response.cookies["tt"] for response in (first, again)]
        self.cookie = self.cookies[1]
        worker = self.spy.content("/worker/create", {"alias": "a"})["worker"]
        self.worker_secrets = [worker["secret"]]
        self.worker = {"X-Worker-ID": str(worker["id"]), "X-Secret": worker["secret"]}
        rotated = self.spy.content("/worker/rotate_secret", headers=self.worker)["worker"]["secret"]
        self.worker_secrets.append(rotated)
        self.worker["X-Secret"] = rotated
        project = self.spy.content("/project/create", {"name": "p"}, cookie=self.cookie)["id"]
        made = self.spy.content(f"/project/join_tokens/{project}", {"submit": True}, cookie=self.cookie)
        self.join_token = made["token"]
        self.spy.content("/project/join", {"project": project, "token": self.join_token}, headers=self.worker)
        secret, webhook = self.project_secrets
        self.spy.send("POST", f"/project/secret/{project}", {"secret": secret}, cookie=self.cookie)
        self.spy.send("POST", f"/project/webhook_secret/{project}", {"webhook_secret": webhook}, cookie=self.cookie)
        for name in ("secret", "webhook_secret"):
            shown = self.spy.send("GET", f"/project/{name}/{project}", cookie=self.cookie).json()["content"]
            assert shown[name] in self.project_secrets
        self.webhook = str(shown["webhook_secret"])

    def bodies(self) -> Iterator[Any]:
        """Invalid bodies that contain secrets."""
        known, guess = self.passwords[0], self.guesses[0]
        fields: dict[str, Any] = {"username": guess, "password": known, "old": guess, "new": self.passwords[1]}
        fields |= {"secret": guess, "webhook_secret": self.webhook, "session": self.cookie}
        fields |= {"token": self.join_token, "project": 1, "submit": True}
        text = json.dumps(fields).encode()
        yield fields
        yield text[:-1]
        yield text[:-2] + b'\xff"}'
        yield text[:-2] + b'\\ud800"}'
        yield {name: [value] for name, value in fields.items()}
        yield {name: {value: value} for name, value in fields.items()}
        yield {**dict.fromkeys(fields, 5), "requests": [fields, guess], known: self.webhook}
        yield known.encode()

    def calls_everything(self, bodies: list[Any]) -> None:
        """Calls every route with the right credentials, and with guessed ones."""
        who: list[dict[str, Any]] = [
            {"headers": self.worker, "cookie": self.cookie},
            {"headers": {**self.worker, "X-Secret": self.guesses[1]}, "cookie": self.guesses[2]},
            {
                "headers": {
                    "X-Worker-ID": self.guesses[3],
                    "X-Secret": self.guesses[1],
                    "X-Hub-Signature": self.guesses[3],
                }
            },
        ]
        for route in ROUTES:
            path = route.path.format(id=1, project=1, worker=1, task=100_001, level="error")
            ends = path.startswith(("/log", "/account/", "/project/delete", "/worker/rotate", "/register", "/manager/"))
            for method in route.methods or ():
                for n, one in enumerate(who):
                    if n == 0 and ends:
                        continue
                    # Calls with guessed credentials are refused before most of the body is checked.
                    for body in bodies[: None if n == 0 else 3] if method == "POST" else [None]:
                        self.spy.send(method, path, body, **one)

    def changes_its_password(self) -> None:
        old, new = self.passwords
        for wrong in ({"old": self.guesses[0], "new": new}, {"old": old, "new": old[:5]}, {"old": [old], "new": new}):
            self.spy.send("POST", "/account/password", wrong, cookie=self.cookie)
        self.spy.content("/account/password", {"old": old, "new": new}, cookie=self.cookie)
        self.cookie = self.spy.send("POST", "/login", {"username": "ada", "password": new}).cookies["tt"]
        self.cookies.append(self.cookie)

    def guesses_too_often(self) -> None:
        for _ in range(12):
            self.spy.send("POST", "/login", {"username": "eve", "password": self.guesses[2]})

    def breaks_http(self) -> None:
        for secret in (*self.guesses, self.cookie):
            head = f"GET /account HTTP/1.1\r\nCookie: tt={secret}\r\nX-Secret {secret}\r\n\r\n"
            assert exchange(self.serving.url, head.encode(), "GET").status == 400

    def the_store_refuses(self) -> None:
        """A key of another type, a password that has changed, no memory, and at last no store."""
        self.redis.rename("broker:{directory}:usernames", "kept")
        self.redis.set("broker:{directory}:usernames", "no hash")
        self._signs_in(503)
        until(lambda: self.redis.xlen("broker:{directory}:logs:error") > 0)
        self.redis.rename("kept", "broker:{directory}:usernames")
        self.redis.config_set("maxmemory", 1)
        self.calls_everything([next(self.bodies())])
        self.redis.config_set("maxmemory", 0)
        self.redis.config_set("requirepass", word())
        self.redis.client_kill_filter(_type="normal", skipme=True)
        self._signs_in(503)
        self.calls_everything([next(self.bodies())])
        self.redis.config_set("requirepass", self.redis_password)
        until(lambda: self.spy.http.get("/readyz").status_code == 200)

    def _signs_in(self, status: int) -> None:
        response = self.spy.send("POST", "/login", {"username": "ada", "password": self.passwords[1]})
        assert response.status_code == status, response.text

    def everything_stored(self) -> str:
        found = [repr(self.redis.slowlog_get(100_000))]
        for key in self.redis.scan_iter(count=1000):
            found.append(repr(key))
            kind = self.redis.type(key)
            if kind == "hash":
                found.append(repr(self.redis.hgetall(key)))
            elif kind == "stream":
                found.append(repr(self.redis.xrange(key)))
            elif kind == "string":
                found.append(repr(self.redis.get(key)))
            elif kind == "set":
                found.append(repr(self.redis.smembers(key)))
            else:
                found.append(repr(self.redis.zrange(key, 0, -1)))
        return "\n".join(found)

    def ends(self) -> None:
        self.spy.http.close()
        assert self.serving.stop() == 0
        self.redis.close()
        self._server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    told = Story(tmp_path_factory.mktemp("secrets"))
    told.signs_up()
    told.calls_everything([*told.bodies()])
    told.guesses_too_often()
    told.changes_its_password()
    told.breaks_http()
    told.the_store_refuses()
    yield told
    told.ends()


def test_only_calls_for_a_secret_are_answered_with_one(story: Story) -> None:
    confided = [*story.worker_secrets, *story.project_secrets, story.join_token]
    confided += [story.redis_password, *story.passwords, *story.cookies]
    assert {"invalid", "bad_credentials", "not_logged_in", "denied", "unavailable", "rate_limited"} <= story.spy.codes

    for told in story.spy.told:
        assert not any(secret in told for secret in [*confided, *story.guesses]), told


def test_no_log_has_a_secret(story: Story) -> None:
    logs = story.log.read_text() + story.serving.log.read_text()
    answer = story.spy.send("POST", "/logs", {"level": 3, "since": 1}, cookie=story.cookie).text
    confided = [*story.worker_secrets, *story.project_secrets, story.join_token]
    confided += [story.redis_password, *story.passwords, *story.cookies]

    # What went wrong with the store is there.
    assert "script manager_find: " in logs
    assert "script manager_find: " in answer
    for secret in [*confided, *story.guesses]:
        assert secret not in logs
        assert secret not in answer


def test_the_store_gets_only_digests_of_secrets_that_it_need_not_return(story: Story) -> None:
    stored = story.everything_stored()

    assert all(secret in stored for secret in story.project_secrets)
    for secret in [*story.passwords, *story.cookies, *story.worker_secrets, story.join_token, *story.guesses[1:]]:
        assert secret not in stored
