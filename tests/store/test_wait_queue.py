"""A new task wakes a waiter that may take it, in whatever order gets, messages and disconnections come."""

import asyncio
import random
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.store.waiting.wait_queue import WaitQueues
from broker.store.waiting.waiter import Waiter, Wake

P, Q = 1, 2
NO_TASK = BrokerError("no_task", "No task available")
DENIED = BrokerError("denied", "This worker may not get tasks of the project")
PAUSED = BrokerError("paused", "The project is paused")


def in_a_loop(test: Callable[..., None]) -> Callable[..., None]:
    """Waiters and timers need a loop that runs; nothing here waits for it."""

    @wraps(test)
    def run(*args: Any, **named: Any) -> None:
        async def main() -> None:
            test(*args, **named)

        asyncio.run(main())

    return run


class Request:
    """A get that waits: it asks once when it has come, then whenever it was woken."""

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.comes = True
        self.found: bool | None = None
        """What the store has said to its ask; None before it has."""

    @property
    def asks(self) -> bool:
        return self.comes or self.waiter.wake is not None

    @property
    def wake(self) -> Wake | None:
        return None if self.comes else self.waiter.wake


class Scene:
    """A queue, requests that wait for its tasks, and messages that are on their way to the process."""

    def __init__(self) -> None:
        self.queues = WaitQueues()
        self.tasks = 0
        self.words: list[int] = []
        self.requests: list[Request] = []

    def come(self, anywhere: int) -> None:
        waiter = self.queues.enter(0, {P, Q}) if anywhere % 2 else self.queues.enter(P, ())
        self.requests.append(Request(waiter))

    def submit(self, number: int) -> None:
        tasks = 2 if number == 4 else 1
        self.tasks += tasks
        self.words.append(tasks)

    def hear(self, _: int = 0) -> None:
        if self.words:
            self.queues.notify(P, self.words.pop(0), 0)

    def others_take(self, _: int) -> None:
        self.tasks -= min(self.tasks, 1)

    def ask(self, number: int) -> None:
        """The store answers; the answer has not reached the process yet."""
        if asking := [it for it in self.requests if it.asks and it.found is None]:
            request = asking[number % len(asking)]
            request.found = self.tasks > 0
            self.tasks -= request.found

    def answer(self, number: int) -> None:
        answered = [it for it in self.requests if it.found is not None]
        if not answered:
            return
        request = answered[number % len(answered)]
        found, request.found = request.found, None
        if found:
            self.queues.found(request.waiter, request.wake)
            self._leave(request)
        else:
            wake, request.comes = request.wake, False
            self.queues.refused(request.waiter, wake, NO_TASK)

    def leave(self, number: int) -> None:
        """A client disconnects; tasks that were taken for it wait again, and that is announced."""
        if self.requests:
            request = self.requests[number % len(self.requests)]
            if request.found:
                self.queues.found(request.waiter, request.wake)
                self.submit(0)
            self._leave(request)

    def _leave(self, request: Request) -> None:
        self.requests.remove(request)
        self.queues.leave(request.waiter)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way."""
        return not self.words and not any(it.asks for it in self.requests)

    def settle(self, _: int = 0) -> None:
        while not self.settled:
            self.hear()
            self.ask(0)
            self.answer(0)


MOVES = ["submit", "submit", "hear", "hear", "others_take", "ask", "ask", "answer", "answer", "leave", "come"]
SCENES = 10_000
"""Short walks: in a long one the next message hides a lost one."""


@in_a_loop
def test_nobody_waits_for_a_task_that_is_there() -> None:
    chance = random.Random(1)
    for _ in range(SCENES):
        scene = Scene()
        for _ in range(chance.randint(1, 5)):
            scene.come(chance.randint(0, 1))
        scene.settle()
        moves = [(chance.choice(MOVES), chance.randint(0, 4)) for _ in range(chance.randint(4, 16))]
        for move, number in moves:
            getattr(scene, move)(number)

        scene.settle()

        assert not (scene.tasks and scene.requests), moves
        assert not any(queue.asking for queue in (*scene.queues.in_project.values(), *scene.queues.anywhere.values()))
        while scene.requests:
            scene.leave(0)
        scene.queues.remove_unused()
        left = (scene.queues.in_project, scene.queues.anywhere, scene.queues.granted, scene.queues.projects)
        assert not any(left)


@in_a_loop
def test_one_task_wakes_one_in_order_of_arrival_wherever_it_waits() -> None:
    queues = WaitQueues()
    waiters = [
        queues.enter(P, ()),
        queues.enter(0, {P}),
        queues.enter(0, {Q}),
        queues.enter(0, {Q, P}),
        queues.enter(P, ()),
    ]

    for awake in ([0], [0, 1], [0, 1, 3], [0, 1, 3, 4]):
        queues.notify(P, 1, 0)
        assert [number for number, waiter in enumerate(waiters) if waiter.wake] == awake
    queues.project(P).public = True
    queues.notify(P, 1, 0)
    assert all(waiter.wake for waiter in waiters)


@in_a_loop
def test_a_worker_need_not_ask_when_others_wait_whom_every_task_reaches_first() -> None:
    queues = WaitQueues()
    known, stranger = 7, 8
    first = queues.enter(P, ())
    first.worker = known
    assert not queues.finds_nothing(P, known)
    queues.notify(P, 1, 0)
    queues.refused(first, first.wake, NO_TASK)

    assert queues.finds_nothing(P, known)
    assert not queues.finds_nothing(P, stranger)
    assert not queues.finds_nothing(Q, known)
    for field in ("has_votes", "paused"):
        setattr(queues.project(P), field, True)
        assert not queues.finds_nothing(P, known)
        setattr(queues.project(P), field, False)
    # It is asking: nobody waits.
    queues.notify(P, 1, 0)
    assert not queues.finds_nothing(P, known)


@in_a_loop
def test_a_worker_that_was_denied_asks_again() -> None:
    queues = WaitQueues()
    first, other = queues.enter(P, ()), queues.enter(P, ())
    first.worker = 7
    queues.notify(P, 1, 0)
    queues.refused(first, first.wake, DENIED)

    assert other.wake
    assert not queues.finds_nothing(P, 7)


@in_a_loop
def test_a_waiter_that_wakes_in_vain_a_thousand_times_keeps_one_place() -> None:
    queues = WaitQueues()
    waiter = queues.enter(P, ())
    for _ in range(1000):
        queues.notify(P, 1, 0)
        assert waiter.wake
        queues.refused(waiter, waiter.wake, NO_TASK)

    assert len(waiter.queue._numbers) == 1
    assert queues.wake(Wake(P))
    assert queues.wake(Wake(P))
    assert not queues.wake(Wake(P))


@in_a_loop
def test_a_queue_that_thousands_have_left_holds_those_who_still_wait() -> None:
    queues = WaitQueues()
    stays = queues.enter(P, ())
    for _ in range(2000):
        queues.leave(queues.enter(P, ()))

    assert len(stays.queue._numbers) < 200
    assert stays.queue.all() == [stays]


@in_a_loop
def test_a_task_with_votes_is_tried_on_one_after_the_other_and_on_each_once() -> None:
    queues = WaitQueues()
    waiters = [queues.enter(P, ()) for _ in range(20)]
    queues.notify(P, 0, 1)

    tried = []
    while awake := [waiter for waiter in waiters if waiter.wake]:
        assert len(awake) == 1
        tried.append(awake[0])
        queues.refused(awake[0], awake[0].wake, NO_TASK)

    assert tried == waiters


@in_a_loop
def test_a_task_with_votes_is_tried_on_the_next_when_one_has_gone() -> None:
    queues = WaitQueues()
    first, second = queues.enter(P, ()), queues.enter(P, ())
    queues.notify(P, 0, 1)

    queues.leave(first)

    assert second.wake


@in_a_loop
def test_a_waiter_without_access_lets_the_next_one_try() -> None:
    queues = WaitQueues()
    denied, other = queues.enter(0, {P, Q}), queues.enter(P, ())
    queues.notify(P, 1, 0)

    queues.refused(denied, denied.wake, DENIED)

    assert other.wake
    assert not denied.wake


@in_a_loop
def test_a_store_that_says_nothing_is_not_asked_by_one_after_the_other() -> None:
    queues = WaitQueues()
    first, second = queues.enter(P, ()), queues.enter(P, ())
    queues.notify(P, 1, 0)

    queues.unanswered(first)
    queues.leave(first)

    assert not second.wake


@in_a_loop
def test_a_paused_project_wakes_nobody() -> None:
    queues = WaitQueues()
    first, second = queues.enter(P, ()), queues.enter(P, ())
    queues.notify(P, 1, 0)

    queues.refused(first, first.wake, PAUSED)
    queues.notify(P, 5, 5)

    assert not first.wake
    assert not second.wake


@in_a_loop
def test_a_get_that_comes_while_all_waits_end_does_not_wait() -> None:
    queues = WaitQueues()
    asks, waits = queues.enter(P, ()), queues.enter(P, ())
    queues.notify(P, 1, 0)

    queues.end_all()
    queues.refused(asks, asks.wake, NO_TASK)

    for waiter in (asks, waits, queues.enter(P, ())):
        assert waiter.ended
        assert waiter._woken.result() is None


@pytest.mark.parametrize(("rate", "together"), [(0.001, 1), (50, 1), (150, 1), (1000, 10)])
@in_a_loop
def test_a_rate_wakes_as_many_as_it_lets_through(rate: float, together: int) -> None:
    queues = WaitQueues()
    waiters = [queues.enter(P, ()) for _ in range(40)]
    queues.project(P).rate = rate
    now = asyncio.get_running_loop().time

    before = now()
    queues.notify(P, 40, 0)
    queues.notify(P, 40, 0)
    after = now()

    assert len([waiter for waiter in waiters if waiter.wake]) == together
    pause = queues.project(P).pause
    assert pause
    assert before <= pause.when() - together / rate <= after
    queues.end_all()


@in_a_loop
def test_the_store_says_for_how_long_a_rate_delays() -> None:
    queues = WaitQueues()
    waiter = queues.enter(P, ())
    queues.project(P).rate = 5
    queues.notify(P, 1, 0)

    queues.refused(waiter, waiter.wake, BrokerError("rate_limited", "Too fast", delay=0.001))

    pause = queues.project(P).pause
    assert pause
    assert pause.when() - asyncio.get_running_loop().time() < 0.1
    queues.end_all()
