"""Tasks in the portions that a script takes."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from broker.store.tasks import CHUNK

T = TypeVar("T")

_CHARACTERS = 1 << 20
"""In a batch at most; a single task may have more."""


def batches(tasks: Iterable[T], characters: Callable[[T], int]) -> Iterator[list[T]]:
    batch: list[T] = []
    total = 0
    for task in tasks:
        size = characters(task)
        if batch and (len(batch) == CHUNK or total + size > _CHARACTERS):
            yield batch
            batch, total = [], 0
        batch.append(task)
        total += size
    if batch:
        yield batch
