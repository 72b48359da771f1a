"""``broker import-scrapy-redis``: what is left of a crawl with scrapy-redis becomes tasks of a project."""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice

from redis import Redis, RedisError

from broker.cli import STORE, add_settings, read_settings, whole_number
from broker.cli.output import Progress, print_json
from broker.cli.store import CONTINUES, run_on_store
from broker.errors import StartError
from broker.store import Store
from broker.store.task_fields import TaskFields
from broker.store.transfer import CLOSED, DUPLICATE, IMPORTED, TASK_BEFORE, ImportedTask, batches
from broker.transfer.scrapy_redis import Found, Pickled, Source

_SAMPLE = 100
"""Requests whose fingerprints are looked for in the dupefilter."""

_COUNTS = ("requests", "known", "duplicates", "before", "left")


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parser.description = (
        "Reads the start pages, the requests and the dupefilter of a spider from the Redis of scrapy-redis, where "
        "nothing is changed. Requests become tasks; what the dupefilter has seen counts as closed, so the project "
        "needs a remember_closed. Stop the spiders first. An interrupted import continues where it stopped when it is "
        "run again."
    )
    parser.epilog = "docs/scrapy.md says what to change in the settings of the spider."
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="where the tasks go")
    parser.add_argument(
        "--spider", required=True, metavar="NAME", help="the spider whose keys are read: NAME:requests and others"
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read pickled requests, which is scrapy-redis's default; only plain data, and no code in them is run",
    )
    parser.add_argument("--without-dupefilter", action="store_true", help="only what is still to be crawled")
    parser.add_argument("--json", action="store_true", help="for programs: the report as a JSON object")
    parser.add_argument(
        "source", metavar="REDIS_URL", help="the Redis of scrapy-redis, such as redis://localhost:6379/0"
    )
    add_settings(parser, *STORE)


def _run(arguments: argparse.Namespace) -> int:
    try:
        with Redis.from_url(arguments.source, socket_timeout=30) as redis:
            source = Source(redis, arguments.spider, pickles=arguments.trust_pickle)
            run_on_store(read_settings(arguments), lambda store, _: _import(store, source, arguments), CONTINUES)
    except (RedisError, ValueError) as error:
        raise StartError(f"{arguments.source}: {error}") from error
    except Pickled:
        raise StartError(
            f"the requests of {arguments.spider} are pickled: --trust-pickle reads them; nothing was imported"
        ) from None
    return 0


async def _import(store: Store, source: Source, arguments: argparse.Namespace) -> None:
    await _check(store, source, arguments)
    counts, progress = dict.fromkeys(_COUNTS, 0), Progress(sys.stderr)
    keys = [source.requests, source.start_urls]
    for key in keys:
        mark = f"scrapy-redis:{key}"
        for batch in batches(_tasks(source.found(key), counts, progress), _size):
            _count(counts, await store.imports.tasks(arguments.project, mark, batch))
            progress.show(f"{sum(counts.values()):,} requests")
    if not arguments.without_dupefilter:
        for batch in batches(_known(source), _size):
            # A set has no order to continue in: what was imported before is refused by its hash.
            _count(counts, await store.imports.tasks(arguments.project, f"scrapy-redis:{batch[0].number}", batch))
            await store.imports.end(arguments.project, f"scrapy-redis:{batch[0].number}")
            progress.show(f"{counts['known'] + counts['duplicates']:,} of {source.count(source.dupefilter):,} known")
    for key in keys:
        await store.imports.end(arguments.project, f"scrapy-redis:{key}")
    progress.clear()
    if arguments.json:
        print_json(counts)
        return
    print(
        f"imported {counts['requests']:,} requests into project {arguments.project}, "
        f"{counts['known']:,} known as closed, {counts['duplicates']:,} duplicates, {counts['left']:,} left out"
    )


async def _check(store: Store, source: Source, arguments: argparse.Namespace) -> None:
    """Raises :class:`StartError` before anything is imported."""
    project = (await store.projects.get(arguments.project)).values
    if not any(map(source.count, (source.requests, source.start_urls, source.dupefilter))):
        raise StartError(f"there is neither {source.requests} nor {source.start_urls} nor {source.dupefilter}")
    sample = [found for found in islice(source.found(source.requests), _SAMPLE) if isinstance(found, Found)]
    if arguments.without_dupefilter or not source.count(source.dupefilter):
        return
    if not project["remember_closed"]:
        raise StartError(
            f"project {arguments.project} has remember_closed 0, and would forget what the dupefilter knows: set it to "
            "-1, or give --without-dupefilter"
        )
    if project["chain"]:
        raise StartError(f"project {arguments.project} would chain what the dupefilter knows: remove its chain first")
    unique = [found.fingerprint for found in sample if found.fingerprint]
    if unique and not any(map(source.has_seen, unique)):
        raise StartError(
            f"{source.dupefilter} has none of the requests: its fingerprints are not those of scrapy-redis 0.9. "
            "--without-dupefilter imports the requests alone"
        )


def _tasks(found: "Iterator[Found | str]", counts: dict[str, int], progress: Progress) -> Iterator[ImportedTask]:
    for number, request in enumerate(found, 1):
        if isinstance(request, str):
            counts["left"] += 1
            progress.say(f"request {number} is left out: {request}")
        else:
            yield _task(number, request.fields)


def _known(source: Source) -> Iterator[ImportedTask]:
    """A task for each fingerprint, which is closed at once by its one vote."""
    for number, hash64 in enumerate(source.fingerprints(), 1):
        yield _task(number, TaskFields("known to scrapy-redis", hash64), votes="1:0")


def _task(number: int, fields: TaskFields, votes: str = "") -> ImportedTask:
    return ImportedTask(number=number, failed="", counts=(0, 0, 1), votes=votes, fields=fields)


def _count(counts: dict[str, int], outcomes: list[int]) -> None:
    names = {IMPORTED: "requests", CLOSED: "known", DUPLICATE: "duplicates", TASK_BEFORE: "before"}
    for outcome in outcomes:
        counts[names[outcome]] += 1


def _size(task: ImportedTask) -> int:
    return len(task.fields.recipe)
