"""Events are sent over HTTP to what the project names, and nowhere else."""

import asyncio
import hashlib
import hmac
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from broker import notifier
from broker.notifier import Notifier
from broker.notify_url import is_public, parsed
from broker.sweeper import sweep
from tests.client import Fleet
from tests.serving import Serving, until
from tests.store.conftest import StoreFleet, new
from tests.store.conftest import fleet as store_fleet

__all__ = ["store_fleet"]


class Receiver:
    """A real HTTP server on a port of its own, and what it was sent. ``answers``: statuses, the last one for ever."""

    def __init__(self, *answers: int, location: str = "") -> None:
        self.answers = list(answers or (200,))
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_finished_project_tells_its_url_signed_and_again_until_it_is_accepted(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers = [500, 404, 204]
    # A proxy that environment variables name is not asked: nobody listens there.
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    serving = Serving.start(tmp_path, notify_private="yes", environment=proxies)
    try:
        fleet = Fleet(serving.url, serving.admin())
        project = fleet.project(notify_url=f"http://127.0.0.1:{receiver.port}/hook?a=b")
        secret = fleet.admin.get(f"/project/notify_secret/{project}").content()["notify_secret"]
        worker = fleet.worker(project)
        worker.submit(project)
        worker.release(worker.take(project)["id"])

        until(lambda: len(receiver.got) == 3, 20)
        first, *others = receiver.bodies()
        assert others == [first, first]
        assert (first["event"], first["project"]) == ("finished", project)
        assert set(first) == {"event", "id", "project", "time", "stats"}
        assert (first["stats"]["waiting"], first["stats"]["counters"]["closed"]) == (0, 1)
        for path, headers, body in receiver.got:
            assert path == "/hook?a=b"
            assert headers["Content-Type"] == "application/json"
            assert headers["Host"] == f"127.0.0.1:{receiver.port}"
            signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            assert headers["X-Hub-Signature-256"] == f"sha256={signature}"

        # With another key; and what was accepted does not come again.
        fleet.admin.post(f"/project/notify_secret/{project}", {"notify_secret": "another"}).content()
        worker.submit(project)
        worker.release(worker.take(project)["id"])
        until(lambda: len(receiver.got) == 4, 20)
        _, headers, body = receiver.got[3]
        assert json.loads(body)["id"] != first["id"]
        signature = hmac.new(b"another", body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={signature}"
        fleet.close()
    finally:
        assert serving.stop() == 0


def test_only_managers_with_secret_see_where_events_go(fleet: Fleet) -> None:
    url = "https://example.org/events?token=abc"
    project = fleet.project(notify_url=url, notify_failed=7, notify_stalled=2.5)
    other = fleet.manager()
    fleet.admin.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": 3}).content()

    for who, shown in ((fleet.admin, url), (other, None), (fleet.anybody, None)):
        found = who.get(f"/project/get/{project}").content()
        (listed,) = [one for one in who.get("/project/list").content()["projects"] if one["id"] == project]
        for fields in (found, found["project"], listed):
            assert (fields["notify_url"], fields["notify_failed"], fields["notify_stalled"]) == (shown, 7, 2.5)
    # Who does not see it and posts back what they read changes nothing.
    seen = other.get(f"/project/get/{project}").content()["project"]
    other.post(f"/project/update/{project}", seen).content()
    assert fleet.admin.get(f"/project/get/{project}").content()["notify_url"] == url
    worker = fleet.worker(project)
    worker.submit(project)
    assert not {"notify_url", "notify_failed", "notify_stalled"} & set(worker.take(project)["project"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("notify_url", url)
            for url in (
                *(
                    "x",
                    "ftp://example.org/",
                    "//example.org/",
                    "http://",
                    "http:///path",
                    "http://a b/",
                    "http://ä.example/",
                ),
                *("http://user@example.org/", "http://user:pass@example.org/", "http://example.org:0/", "http://[::1/"),
                *(
                    "http://example.org:99999/",
                    "http://example.org:x/",
                    "http://example.org\\@evil.example/",
                    5,
                    "javascript:1",
                ),
                *("http://example.org/\r\nX: y", "http://example.org/\n", "http://example.org/" + "x" * 2048),
            )
        ),
        *(("notify_failed", number) for number in (-1, 1.5, "3", 2**31)),
        *(("notify_stalled", number) for number in (-1, "3", 315_360_001, 2**70)),
    ],
)
def test_invalid_values_are_refused(fleet: Fleet, project: int, field: str, value: object) -> None:
    for path in (f"/project/update/{project}", "/project/create"):
        answer = fleet.admin.post(path, {"name": f"no project {value}"[:99], field: value})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith(f"{field}: ")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.127.255.255", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:100.64.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b:1::1"),
    ],
)
def test_no_event_is_sent_to_an_address_that_is_not_on_the_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_an_address_on_the_internet_is_one(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def event_of(fleet: StoreFleet, url: str) -> None:
    """An event that is to be sent there now."""
    project = await fleet.project(notify_url=url)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id)
    await sweep(fleet.store)


class Names:
    """Name servers: each question is answered by the next of these."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


async def is_sent(fleet: StoreFleet, sender: Notifier) -> bool:
    """Whether one try sends the event."""
    notice = fleet.store.notices.taken.get_nowait()
    await sender.send(notice)
    fleet.passes(30)
    await sweep(fleet.store)
    return fleet.store.notices.taken.empty()


PRIVATE = [
    *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]"),
    *("0.0.0.0", "[::]", "[::ffff:7f00:1]", "127.0.0.1.", "0"),
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_no_spelling_of_an_address_leads_into_a_private_network(
    store_fleet: StoreFleet, receiver: Receiver, host: str
) -> None:
    await event_of(store_fleet, f"http://{host}:{receiver.port}/")

    assert not await is_sent(store_fleet, Notifier(store_fleet.store, private=False))
    assert receiver.got == []


async def test_a_name_that_says_something_else_a_moment_later_is_asked_once(
    store_fleet: StoreFleet, receiver: Receiver
) -> None:
    await event_of(store_fleet, f"http://rebinds.example:{receiver.port}/")
    # 192.0.2.1 is an address of nobody. The one that was checked is the one that is connected to.
    names = Names(["127.0.0.1"], ["::ffff:127.0.0.1", "10.0.0.1"])
    sender = Notifier(store_fleet.store, private=False, resolve=names)

    assert not await is_sent(store_fleet, sender)
    assert names.asked == [("rebinds.example", receiver.port)]
    assert not await is_sent(store_fleet, sender)
    assert len(names.asked) == 2
    assert receiver.got == []

    # Nothing but this resolver knows the name: there is no second question on the way to the connection.
    names.answers = [["127.0.0.1"]]
    assert await is_sent(store_fleet, Notifier(store_fleet.store, private=True, resolve=names))
    ((_, headers, _),) = receiver.got
    assert headers["Host"] == f"rebinds.example:{receiver.port}"


async def test_redirects_are_not_followed(store_fleet: StoreFleet, receiver: Receiver) -> None:
    for status in (301, 302, 303, 307, 308):
        redirecting = Receiver(status, location=f"http://127.0.0.1:{receiver.port}/")
        try:
            await event_of(store_fleet, f"http://127.0.0.1:{redirecting.port}/")
            assert not await is_sent(store_fleet, Notifier(store_fleet.store, private=True))
            assert len(redirecting.got) == 1
            while not store_fleet.store.notices.taken.empty():
                await store_fleet.store.notices.sent(store_fleet.store.notices.taken.get_nowait())
        finally:
            redirecting.close()
    assert receiver.got == []


ANSWERS = [
    b"",
    b"\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 \r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"x" * 200_000,
    b"HTTP/1.1 100 Continue\r\n" + b"A: b\r\n" * 50_000,
    b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: repr(answer[:30]))
async def test_what_is_no_answer_is_not_sent_and_costs_little(store_fleet: StoreFleet, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        try:
            writer.write(answer)
            await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await event_of(store_fleet, f"http://127.0.0.1:{port}/")
        async with asyncio.timeout(5):
            assert not await is_sent(store_fleet, Notifier(store_fleet.store, private=True))


async def test_an_interim_answer_is_passed(store_fleet: StoreFleet) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await event_of(store_fleet, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert await is_sent(store_fleet, Notifier(store_fleet.store, private=True))


async def test_one_that_never_answers_is_left_after_ten_seconds(
    store_fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.notifier._TIMEOUT", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await event_of(store_fleet, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        async with asyncio.timeout(3):
            assert not await is_sent(store_fleet, Notifier(store_fleet.store, private=True))


async def test_over_tls_the_receiver_must_be_who_the_url_names(
    store_fleet: StoreFleet, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    notifier._tls.cache_clear()

    async def names(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    try:
        sender = Notifier(store_fleet.store, private=True, resolve=names)
        await event_of(store_fleet, f"https://localhost:{receiver.port}/")
        assert await is_sent(store_fleet, sender)
        await event_of(store_fleet, f"https://other.example:{receiver.port}/")
        assert not await is_sent(store_fleet, sender)
        assert len(receiver.got) == 1
    finally:
        notifier._tls.cache_clear()


def test_a_url_is_read_as_it_is_written() -> None:
    url = parsed("https://Example.org:8443/a/b?c=d#e")
    assert url == (True, "example.org", 8443, "/a/b?c=d", "Example.org:8443")
    assert parsed("http://[2606:4700::1111]").host == "2606:4700::1111"
    assert (parsed("http://example.org").port, parsed("http://example.org").target) == (80, "/")
