"""The demo's HTTP client waits when it is told to, repeats what was lost, and names what was refused."""

import asyncio
import io
from collections.abc import Iterator

import httpx
import pytest

from broker.demo import client as module
from broker.demo.client import Client, Envelope, Refused
from broker.demo.errors import DemoError
from broker.demo.progress import Progress

OK = httpx.Response(200, json={"ok": True, "content": {"task_id": 100001}})


def _converse(*answers: httpx.Response | Exception) -> tuple[Envelope, Client]:
    script: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        following = next(script)
        if isinstance(following, Exception):
            raise following
        return following

    async def call() -> tuple[Envelope, Client]:
        async with Client("http://broker", httpx.MockTransport(answer)) as client:
            return await client.post("/task/submit", {}), client

    return asyncio.run(call())


def test_a_call_that_comes_too_early_is_repeated_after_the_time_that_it_is_told() -> None:
    limited = httpx.Response(429, json={"ok": False, "rate_limit_delay": 0.001})
    away = httpx.Response(503, json={"ok": False}, headers={"Retry-After": "0"})
    envelope, client = _converse(limited, away, OK)

    assert envelope.field("task_id") == 100001
    assert client.calls == 3


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (httpx.RemoteProtocolError("closed"), 1),
        (httpx.Response(503, json={"ok": False}, headers={"Retry-After": "0"}), 1),
        (httpx.Response(429, json={"ok": False, "rate_limit_delay": 0.001}), 0),
    ],
)
def test_a_call_that_may_have_been_carried_out_unseen_is_counted(
    answer: httpx.Response | Exception, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0)
    envelope, client = _converse(answer, OK)

    assert envelope.ok
    assert (client.calls, client.lost) == (2, lost)


def test_a_broker_that_is_gone_for_good_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", -1)

    with pytest.raises(DemoError, match="does not answer any more"):
        _converse(httpx.ConnectError("refused"))


def test_a_refusal_says_which_call_was_refused_and_why() -> None:
    with pytest.raises(Refused, match=r"POST /task/submit with 403: no SUBMIT access") as refused:
        _converse(httpx.Response(403, json={"ok": False, "message": "no SUBMIT access"}))

    assert refused.value.status == 403


def test_an_answer_that_is_not_an_envelope_ends_the_demo() -> None:
    with pytest.raises(DemoError, match="502 without an envelope"):
        _converse(httpx.Response(502, text="<h1>Bad gateway</h1>"))


def test_progress_in_a_log_is_a_line_now_and_then_and_on_a_terminal_one_line_rewritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        progress = Progress(stream)
        progress.show("1 of 3")
        progress.show("2 of 3")
        progress.say("done")

    assert log.getvalue() == "1 of 3\ndone\n"
    assert terminal.getvalue() == "\r\x1b[K1 of 3\r\x1b[Kdone\n"
