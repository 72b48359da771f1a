"""The examples of "Inspecting the store" in docs/operating.md print what the page says."""

import asyncio
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from broker.settings import Settings
from broker.store import Store
from broker.store.task_fields import TaskFields
from broker.store.tasks import result_of

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


async def what_the_page_shows(store: Store) -> None:
    """Two projects; in the second of them, tasks in every state."""
    manager = (await store.managers.register("boss", "a long password", open_to_all=True)).id
    await store.projects.create(manager, {"name": "index"})
    project = await store.projects.create(manager, {"name": "pages"})
    worker = (await store.workers.create("w"))[0].id
    await store.workers.request_access(project, worker, assign=True, submit=True)
    await store.workers.grant(project, worker)
    tasks = store.tasks

    def task(name: str, hash64: int, **fields: Any) -> TaskFields:
        return TaskFields(f"https://example.org/{name}", hash64, **fields)

    first = [
        task("closed", -7, priority=12),
        task("failed", -6, priority=11),
        task("b", -5, priority=10, max_retries=3),
    ]
    voted = task("voted", -2, priority=9, verification_count=2)
    later = task("later", -1, start="+3600000")
    await tasks.submit(project, worker, [*first, task("d", -4), task("e", -3, priority=1), voted, later, *first[1:]])
    held = (await tasks.assign(project, worker, 4, 3600)).tasks
    assert [task.id for task in held] == [100_002, 200_002, 300_002, 600_002]
    await tasks.release(
        project, worker, [(100_002, 0, 0), (200_002, result_of(1, message="HTTP 500"), 0), (600_002, 0, 0)]
    )


def blocks() -> list[tuple[str, str]]:
    """Each command of the section, and what it prints."""
    section = PAGE.split("## Inspecting the store\n")[1].split("\n## ")[0]
    found = []
    for block in re.findall(r"```\n(.*?)```", section, re.DOTALL):
        for example in block.split("$ ")[1:]:
            command, _, printed = example.partition("\n")
            found.append((command, printed))
    return found


def comparable(text: str) -> str:
    """Without what differs each time: times, salts, sizes."""
    return re.sub(r"\d{7,}|[\d.]+(?=[KMG])", "N", text)


async def test_the_examples_print_what_the_page_says(store: Store, settings: Settings, tmp_path: Path) -> None:
    await what_the_page_shows(store)
    # What `broker redis-cli` calls, without a start of Python for each example; test_redis_cli.py has the rest.
    program = tmp_path / "broker"
    program.write_text(f'#!/bin/sh\nshift\nexec redis-cli -s {settings.redis_url.removeprefix("unix://")} "$@"\n')
    program.chmod(0o755)
    its = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    examples = blocks()
    assert len(examples) >= 15
    for command, printed in examples:
        words = ["bash", "-c", command.replace("broker:{", f"{settings.prefix}:{{")]
        done = await asyncio.to_thread(subprocess.run, words, env=its, capture_output=True, text=True, timeout=60)
        assert (command, done.stderr, comparable(done.stdout)) == (command, "", comparable(printed))
