"""Word of a task wakes whom it is for: no interleaving of asks, words and leaving loses one."""

import asyncio
import random
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.store.waiting.wait_queue import Lines
from broker.store.waiting.waiter import Place, Wake

P, Q = 1, 2
NO_TASK = BrokerError("no_task", "No task available")
DENIED = BrokerError("denied", "This worker may not take tasks of the project")
PAUSED = BrokerError("paused", "The project is paused")


def in_a_loop(test: Callable[..., None]) -> Callable[..., None]:
    """Places and timers need a loop that runs; nothing here waits for it."""

    @wraps(test)
    def run(*args: Any, **named: Any) -> None:
        async def main() -> None:
            test(*args, **named)

        asyncio.run(main())

    return run


class Request:
    """A get that waits: it asks once when it has come, then whenever it was woken."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.comes = True
        self.found: bool | None = None
        """What the store has said to its ask; None before it has."""

    @property
    def asks(self) -> bool:
        return self.comes or self.place.word is not None

    @property
    def wake(self) -> Wake | None:
        return None if self.comes else self.place.word


class Scene:
    """A queue, requests that wait for its tasks, and words that are on their way to the process."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.tasks = 0
        self.words: list[int] = []
        self.requests: list[Request] = []

    def come(self, anywhere: int) -> None:
        place = self.lines.enter(0, {P, Q}) if anywhere % 2 else self.lines.enter(P, ())
        self.requests.append(Request(place))

    def submit(self, number: int) -> None:
        tasks = 2 if number == 4 else 1
        self.tasks += tasks
        self.words.append(tasks)

    def hear(self, _: int = 0) -> None:
        if self.words:
            self.lines.tell(P, self.words.pop(0), 0)

    def others_take(self, _: int) -> None:
        self.tasks -= min(self.tasks, 1)

    def ask(self, number: int) -> None:
        """The store decides what it finds, which the process does not hear yet."""
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
            self.lines.found(request.place, request.wake)
            self._leave(request)
        else:
            wake, request.comes = request.wake, False
            self.lines.refused(request.place, wake, NO_TASK)

    def leave(self, number: int) -> None:
        """A client hangs up; what was taken for it goes back, and that is told."""
        if self.requests:
            request = self.requests[number % len(self.requests)]
            if request.found:
                self.lines.found(request.place, request.wake)
                self.submit(0)
            self._leave(request)

    def _leave(self, request: Request) -> None:
        self.requests.remove(request)
        self.lines.leave(request.place)

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
"""Short ones: in a long one a word that was lost is made good by the next."""


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
        assert not any(line.asking for line in (*scene.lines.in_project.values(), *scene.lines.anywhere.values()))
        while scene.requests:
            scene.leave(0)
        scene.lines.forget()
        left = (scene.lines.in_project, scene.lines.anywhere, scene.lines.granted, scene.lines.prospects)
        assert not any(left)


@in_a_loop
def test_one_task_wakes_one_in_order_of_arrival_wherever_it_waits() -> None:
    lines = Lines()
    places = [lines.enter(P, ()), lines.enter(0, {P}), lines.enter(0, {Q}), lines.enter(0, {Q, P}), lines.enter(P, ())]

    for awake in ([0], [0, 1], [0, 1, 3], [0, 1, 3, 4]):
        lines.tell(P, 1, 0)
        assert [number for number, place in enumerate(places) if place.word] == awake
    lines.prospect(P).public = True
    lines.tell(P, 1, 0)
    assert all(place.word for place in places)


@in_a_loop
def test_who_wakes_in_vain_a_thousand_times_keeps_one_place() -> None:
    lines = Lines()
    place = lines.enter(P, ())
    for _ in range(1000):
        lines.tell(P, 1, 0)
        assert place.word
        lines.refused(place, place.word, NO_TASK)

    assert len(place.line._numbers) == 1
    assert lines.give(Wake(P))
    assert lines.give(Wake(P))
    assert not lines.give(Wake(P))


@in_a_loop
def test_a_line_through_which_thousands_have_gone_holds_those_who_are_there() -> None:
    lines = Lines()
    stays = lines.enter(P, ())
    for _ in range(2000):
        lines.leave(lines.enter(P, ()))

    assert len(stays.line._numbers) < 200
    assert stays.line.all() == [stays]


@in_a_loop
def test_a_task_with_votes_is_tried_on_one_after_the_other_and_on_each_once() -> None:
    lines = Lines()
    places = [lines.enter(P, ()) for _ in range(20)]
    lines.tell(P, 0, 1)

    tried = []
    while awake := [place for place in places if place.word]:
        assert len(awake) == 1
        tried.append(awake[0])
        lines.refused(awake[0], awake[0].word, NO_TASK)

    assert tried == places


@in_a_loop
def test_a_task_with_votes_is_tried_on_the_next_when_one_has_gone() -> None:
    lines = Lines()
    first, second = lines.enter(P, ()), lines.enter(P, ())
    lines.tell(P, 0, 1)

    lines.leave(first)

    assert second.word


@in_a_loop
def test_who_may_take_no_task_of_a_project_lets_the_next_one_try() -> None:
    lines = Lines()
    denied, other = lines.enter(0, {P, Q}), lines.enter(P, ())
    lines.tell(P, 1, 0)

    lines.refused(denied, denied.word, DENIED)

    assert other.word
    assert not denied.word


@in_a_loop
def test_a_store_that_says_nothing_is_not_asked_by_one_after_the_other() -> None:
    lines = Lines()
    first, second = lines.enter(P, ()), lines.enter(P, ())
    lines.tell(P, 1, 0)

    lines.lost(first)
    lines.leave(first)

    assert not second.word


@in_a_loop
def test_a_paused_project_wakes_nobody() -> None:
    lines = Lines()
    first, second = lines.enter(P, ()), lines.enter(P, ())
    lines.tell(P, 1, 0)

    lines.refused(first, first.word, PAUSED)
    lines.tell(P, 5, 5)

    assert not first.word
    assert not second.word


@in_a_loop
def test_who_asks_while_all_waits_end_waits_no_more() -> None:
    lines = Lines()
    asks, waits = lines.enter(P, ()), lines.enter(P, ())
    lines.tell(P, 1, 0)

    lines.end_all()
    lines.refused(asks, asks.word, NO_TASK)

    for place in (asks, waits, lines.enter(P, ())):
        assert place.ended
        assert place._woken.result() is None


@pytest.mark.parametrize(("rate", "together"), [(0.001, 1), (50, 1), (150, 1), (1000, 10)])
@in_a_loop
def test_a_rate_wakes_as_many_as_it_lets_through(rate: float, together: int) -> None:
    lines = Lines()
    places = [lines.enter(P, ()) for _ in range(40)]
    lines.prospect(P).rate = rate

    lines.tell(P, 40, 0)
    lines.tell(P, 40, 0)

    assert len([place for place in places if place.word]) == together
    held = lines.prospect(P).held
    assert held
    assert held.when() - asyncio.get_running_loop().time() == pytest.approx(together / rate, rel=0.1)
    lines.end_all()


@in_a_loop
def test_how_long_a_rate_holds_up_is_what_the_store_says() -> None:
    lines = Lines()
    place = lines.enter(P, ())
    lines.prospect(P).rate = 5
    lines.tell(P, 1, 0)

    lines.refused(place, place.word, BrokerError("rate_limited", "Too fast", delay=0.001))

    held = lines.prospect(P).held
    assert held
    assert held.when() - asyncio.get_running_loop().time() < 0.1
    lines.end_all()
