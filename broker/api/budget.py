"""How much of large bodies a process holds at once, from their first bytes until their calls are answered."""

from broker.errors import Unavailable

SMALL = 64 << 10
"""Bytes of every body that are not counted: those of small calls come through when large ones do not."""


class Bodies:
    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes could be held now."""
        return self._held + size <= self._most

    def hold(self, size: int) -> None:
        """Raises ``unavailable`` when that is more than may be held."""
        if not self.has_room(size):
            raise full()
        self._held += size

    def free(self, size: int) -> None:
        self._held -= size


def full() -> Unavailable:
    return Unavailable("The broker has too many large bodies in memory: send this one again, or in smaller parts")
