"""Which calls are repeated, and when: the attempts of a call for each outcome. Nothing is sent."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.client import Client, NewTask, Refused, Release, Result, Unreachable
from broker.client.calls import Answer, Attempt, Lost, Steps
from broker.client.clients import Calls

HASHED = NewTask("r", unique_string="r")
OK, FAIL = Release(1), Release(1, Result.FAIL)

Call = Callable[[Client], Steps[Any]]

SAFE: dict[str, Call] = {
    "submit with a string": lambda client: Calls.submit(client, 1, "r", unique_string="r"),
    "submit with a hash": lambda client: Calls.submit(client, 1, "r", hash64=5),
    "submit many, all with a hash": lambda client: Calls.submit_many(client, 1, [HASHED, HASHED]),
    "release ok": lambda client: Calls.release(client, 1),
    "release many ok": lambda client: Calls.release_many(client, [OK, OK]),
    "turn without a get": lambda client: Calls.turn(client, 1, releases=[OK], submits=[HASHED], count=0),
    "extend": lambda client: Calls.extend(client, [1], 60),
    "assigned": lambda client: Calls.assigned(client, 1),
    "create worker": lambda client: Calls.create_worker(client, "w"),
    "request access": lambda client: Calls.request_access(client, 1),
    "project": lambda client: Calls.project(client, 1),
}
UNSAFE: dict[str, Call] = {
    "submit": lambda client: Calls.submit(client, 1, "r"),
    "submit many, one without a hash": lambda client: Calls.submit_many(client, 1, [HASHED, "r"]),
    "get": lambda client: Calls.get(client, 1),
    "get many": lambda client: Calls.get_many(client, 1, count=5),
    "release fail": lambda client: Calls.release(client, 1, Result.FAIL),
    "release skip": lambda client: Calls.release(client, 1, Result.SKIP),
    "release many, one fail": lambda client: Calls.release_many(client, [OK, FAIL]),
    "turn": lambda client: Calls.turn(client, 1, releases=[OK]),
    "turn, one without a hash": lambda client: Calls.turn(client, 1, submits=[HASHED, "r"], count=0),
    "turn, one fail": lambda client: Calls.turn(client, 1, releases=[OK, FAIL], count=0),
    "register": lambda client: Calls.register(client, "ada", "correct horse"),
}


@pytest.fixture
def client() -> Client:
    return Client("http://broker")


def answer(status: int, retry_after: float = 0, **envelope: Any) -> Answer:
    return Answer(status, json.dumps({"ok": status == 200, **envelope}).encode(), retry_after)


def result(steps: Steps[Any], outcome: Answer | Lost) -> Any:
    """The result of a call that ends with this outcome."""
    with pytest.raises(StopIteration) as end:
        steps.send(outcome)
    return end.value.value


def calls(table: dict[str, Call]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", table.values(), ids=table)


@calls(SAFE | UNSAFE)
def test_a_call_that_was_not_sent_is_repeated(client: Client, call: Call) -> None:
    steps = call(client)
    first = next(steps)

    again = steps.send(Lost("refused", sent=False))

    assert (again.path, again.body) == (first.path, first.body)
    assert 0.1 <= again.pause <= 0.15


@calls(SAFE)
@pytest.mark.parametrize("outcome", [Lost("cut", sent=True), answer(503), answer(502)], ids=["lost", "503", "502"])
def test_a_call_that_perhaps_was_done_is_repeated_where_that_is_safe(
    client: Client, call: Call, outcome: Answer | Lost
) -> None:
    steps = call(client)
    first = next(steps)

    assert steps.send(outcome).body == first.body


@calls(UNSAFE)
@pytest.mark.parametrize("outcome", [Lost("cut", sent=True), answer(503), answer(504)], ids=["lost", "503", "504"])
def test_a_call_that_perhaps_was_done_is_not_repeated_where_that_would_do_harm(
    client: Client, call: Call, outcome: Answer | Lost
) -> None:
    steps = call(client)
    next(steps)

    with pytest.raises(Unreachable) as unreachable:
        steps.send(outcome)

    assert unreachable.value.sent


def test_pauses_grow_to_five_seconds_and_are_never_shorter_than_the_broker_asks(client: Client) -> None:
    client.patience = 1e6
    steps = Calls.project(client, 1)
    next(steps)

    pauses = [steps.send(Lost("refused", sent=False)).pause for _ in range(8)]

    for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], strict=True):
        assert least <= pause <= 1.5 * least
    assert 30 <= steps.send(answer(503, retry_after=30)).pause <= 45
    assert steps.send(answer(503, retry_after=86_400)).pause <= 90


def test_after_the_patience_the_error_says_whether_the_call_may_have_been_carried_out() -> None:
    hasty = Client("http://broker", patience=0)
    steps = Calls.project(hasty, 1)
    next(steps)
    with pytest.raises(Unreachable, match="no answer from http://broker \\(refused\\)") as unreachable:
        steps.send(Lost("refused", sent=False))
    assert not unreachable.value.sent

    steps = Calls.project(hasty, 1)
    next(steps)
    with pytest.raises(Unreachable) as unreachable:
        steps.send(Lost("cut", sent=True))
    assert unreachable.value.sent


def test_the_error_of_a_full_store_says_so(client: Client) -> None:
    steps = Calls.submit(client, 1, "r")
    next(steps)

    with pytest.raises(Unreachable, match="503: The store is full"):
        steps.send(answer(503, code="unavailable", message="The store is full"))


def test_a_call_whose_first_answer_was_lost_counts_as_sent(client: Client) -> None:
    steps = Calls.project(client, 1)
    next(steps)
    steps.send(Lost("cut", sent=True))
    client.patience = 0  # does not shorten a call that has begun

    for _ in range(3):
        steps.send(Lost("refused", sent=False))

    assert result(steps, answer(200, content={"id": 1, "name": "p"})).name == "p"


@calls(SAFE | UNSAFE)
def test_a_call_that_exceeds_a_rate_is_repeated_after_the_delay_of_the_answer(client: Client, call: Call) -> None:
    steps = call(client)
    first = next(steps)

    for delay in (7.5, 3600):
        again = steps.send(answer(429, retry_after=3600, code="rate_limited", rate_limit_delay=delay))
        assert again.body == first.body
        assert delay <= again.pause <= 1.1 * delay


def test_a_get_of_any_project_asks_again_after_a_second_whatever_the_rates_say(client: Client) -> None:
    steps = Calls.get(client)
    next(steps)

    again = steps.send(answer(429, code="rate_limited", rate_limit_delay=999))

    assert 1 <= again.pause <= 1.1


def test_a_login_after_too_many_wrong_passwords_is_refused_at_once(client: Client) -> None:
    steps = Calls.login(client, "ada", "wrong horse")
    next(steps)

    with pytest.raises(Refused) as refused:
        steps.send(answer(429, code="rate_limited", rate_limit_delay=60))

    assert refused.value.delay == 60


def test_a_bulk_that_ended_early_sends_only_the_rest_again(client: Client) -> None:
    steps = Calls.submit_many(client, 1, [NewTask(name, unique_string=name) for name in "abc"])
    assert recipes(next(steps)) == ["a", "b", "c"]

    rest = steps.send(answer(503, code="unavailable", content={"outcomes": [100001, None]}))

    assert recipes(rest) == ["c"]
    assert rest.pause == 1
    assert result(steps, answer(200, content={"outcomes": [200001]})) == [100001, None, 200001]


def test_a_bulk_without_hashes_that_ended_early_says_what_was_submitted(client: Client) -> None:
    steps = Calls.submit_many(client, 1, ["a", "b", "c"])
    next(steps)

    with pytest.raises(Unreachable) as unreachable:
        steps.send(answer(503, code="unavailable", content={"outcomes": [100001, 200001]}))

    assert unreachable.value.done == [100001, 200001]


def test_many_tasks_are_submitted_in_as_few_calls_as_possible(client: Client) -> None:
    steps = Calls.submit_many(client, 1, [NewTask("r", hash64=n) for n in range(1, 10_002)])
    assert len(recipes(next(steps))) == 10_000
    second = steps.send(answer(200, content={"outcomes": list(range(10_000))}))
    assert len(recipes(second)) == 1
    assert len(result(steps, answer(200, content={"outcomes": [None]}))) == 10_001

    large = Calls.submit_many(client, 1, [str(n) + "x" * (1 << 20) for n in range(20)])
    sizes = [len(next(large).body or b"")]
    while sum(sizes) < 20 << 20:
        sizes.append(len(large.send(answer(200, content={"outcomes": [1] * 7})).body or b""))
    assert max(sizes) <= 8 << 20


def test_submitting_no_tasks_makes_no_call(client: Client) -> None:
    with pytest.raises(StopIteration) as end:
        next(Calls.submit_many(client, 1, []))
    assert end.value.value == []


def test_a_refusal_says_what_was_refused_and_why(client: Client) -> None:
    steps = Calls.submit(client, 1, "r")
    next(steps)

    with pytest.raises(Refused, match="POST /task/submit with 403 denied: You may not") as refused:
        steps.send(answer(403, code="denied", message="You may not"))

    assert (refused.value.status, refused.value.code) == (403, "denied")


NOT_A_BROKERS = {
    "a page": Answer(200, b"<h1>Sign in</h1>", 0),
    "no text": Answer(200, b"\xff", 0),
    "no content": Answer(200, b'{"ok":true}', 0),
    "another content": answer(200, content={"id": "1"}),
    "a redirect": Answer(302, b"", 0),
    "a firewall's": Answer(403, b"<h1>Forbidden</h1>", 0),
    "a gateway's": Answer(403, b'{"message":"Forbidden"}', 0),
    "a router's": Answer(404, b'{"ok":false,"message":"no route"}', 0),
    "a timeout": Answer(408, b"", 0),
    "a large body": Answer(413, b"<h1>Request Entity Too Large</h1>", 0),
    "an overload": Answer(429, b"slow down", 7),
    "a fault of a proxy": Answer(500, b"<h1>Oops</h1>", 0),
    "a fault of the broker": answer(500, code="internal", message="Internal error"),
    "a status of its own": Answer(520, b"", 0),
}


def of_no_broker() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("outcome", NOT_A_BROKERS.values(), ids=NOT_A_BROKERS)


@of_no_broker()
def test_an_answer_that_is_not_a_brokers_counts_as_none(client: Client, outcome: Answer) -> None:
    steps = Calls.project(client, 1)
    first = next(steps)

    again = steps.send(outcome)

    assert (again.path, again.pause >= outcome.retry_after) == (first.path, True)
    assert result(steps, answer(200, content={"id": 1, "name": "p"})).name == "p"


@of_no_broker()
def test_a_call_that_must_not_be_repeated_says_that_the_answer_is_not_a_brokers(
    client: Client, outcome: Answer
) -> None:
    client.patience = 0
    steps = Calls.get_many(client, 1, count=5)
    next(steps)

    with pytest.raises(Unreachable, match=rf"\(.*{outcome.status}.*\)") as unreachable:
        steps.send(outcome if outcome.status != 200 else Answer(200, b"<h1>Sign in</h1>", 0))

    assert unreachable.value.status == outcome.status
    # A proxy that answers 429 has not passed the call on.
    assert unreachable.value.sent is (outcome.status != 429)


def test_a_long_poll_extends_the_timeout(client: Client) -> None:
    attempt = next(Calls.get_many(client, 7, count=3, wait=30))

    assert (attempt.path, attempt.wait) == ("/task/get/7?count=3&wait=30", 30)
    assert next(Calls.get(client)).path == "/task/get"


@pytest.mark.parametrize("url", ["localhost:3010", "ftp://broker", "", "http://", "http://a:port"])
def test_an_address_that_is_not_http_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a broker"):
        Client(url)


def recipes(attempt: Attempt) -> list[str]:
    return [request["recipe"] for request in json.loads(attempt.body or b"")["requests"]]
