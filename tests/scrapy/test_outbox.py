"""The order of what is sent: a crash between two calls must lose no link."""

from scrapy import Request

from broker.client import NewTask, Release, Task
from broker.client.types import Project
from broker.scrapy.outbox import Outbox


def test_a_release_waits_for_all_that_was_submitted_before_it_and_for_nothing_else() -> None:
    outbox, task = Outbox(), Task(id=1, recipe="page", project=Project(id=1, name="crawl"))
    for link in ("first", "second"):
        outbox.submit(Request(f"http://a.test/{link}"), NewTask(link))
    outbox.release(task, Release(task.id))
    outbox.submit(Request("http://a.test/later"), NewTask("later"))

    batch = outbox.batch()
    assert ([submit.task.recipe for submit in batch.submits], batch.releases) == (["first", "second", "later"], [])
    outbox.answered(batch.submits[0])
    assert outbox.batch().releases == []
    outbox.answered(batch.submits[1])
    (release,) = outbox.batch().releases
    outbox.done(release)
    assert task not in outbox


def test_what_was_refused_together_goes_one_by_one_and_then_together_again() -> None:
    outbox = Outbox()
    for n in range(4):
        outbox.submit(Request(f"http://a.test/{n}"), NewTask(str(n)))
    first = outbox.batch()
    outbox.one_by_one(first)
    outbox.submit(Request("http://a.test/4"), NewTask("4"))
    outbox.submit(Request("http://a.test/5"), NewTask("5"))
    for submit in first.submits:
        assert outbox.batch().submits == [submit]
        outbox.answered(submit)
    assert [submit.task.recipe for submit in outbox.batch().submits] == ["4", "5"]
