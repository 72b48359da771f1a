"""The log lines of one worker, among those of all."""

from broker.store import Store


async def lines(store: Store, worker: int, limit: int = 10) -> list[tuple[str, str]]:
    return [(level, line.message) for level, line in await store.logs.of_worker(worker, limit)]


async def test_the_newest_lines_of_a_worker_come_from_all_levels_by_their_times(store: Store) -> None:
    assert await lines(store, 7) == []
    for n, level in enumerate(("trace", "error", "info", "warn", "debug", "info")):
        await store.logs.add(level, 1000 + n, f"mine {n}", "fetch", worker=7)
        await store.logs.add(level, 1000 + n, f"other {n}", "fetch", worker=77)
        await store.logs.add(level, 1000 + n, "of the broker", "fetch", request="7")

    assert await lines(store, 7) == [
        ("info", "mine 5"),
        ("debug", "mine 4"),
        ("warn", "mine 3"),
        ("info", "mine 2"),
        ("error", "mine 1"),
        ("trace", "mine 0"),
    ]
    assert await lines(store, 7, 2) == [("info", "mine 5"), ("debug", "mine 4")]
    assert len(await store.logs.of_worker(77, 10)) == 6


async def test_a_scope_that_looks_like_a_worker_is_none(store: Store) -> None:
    for scope in ('"worker":7,', '","worker":7}', '\\","worker":7,"', "worker:7"):
        await store.logs.add("info", 1, f"scope {scope}", scope, worker=8)

    assert await lines(store, 7) == []
    assert len(await lines(store, 8)) == 4


async def test_a_line_with_a_request_is_found_as_well(store: Store) -> None:
    await store.logs.add("warn", 1, "both", "fetch", worker=7, request="id")

    assert await lines(store, 7) == [("warn", "both")]


async def test_it_looks_at_the_last_500_of_a_level(store: Store) -> None:
    await store.logs.add("info", 1, "too old", "fetch", worker=7)
    await store.logs.add("info", 2, "the 500th", "fetch", worker=7)
    for n in range(499):
        await store.logs.add("info", 3 + n, "other", "fetch", worker=8)

    assert await lines(store, 7) == [("info", "the 500th")]
