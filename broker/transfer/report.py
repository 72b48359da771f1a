"""What an import did, and what it left."""

from collections.abc import Iterator
from typing import Any

from broker.cli.output import table

_EXAMPLES = 5
"""Ids that are named of those with one reason."""


class Reasons:
    """How many have each reason, and the first few of them."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, list[str]]] = {}

    def add(self, reason: str, which: str = "", count: int = 1) -> None:
        if not count:
            return
        before, examples = self.found.get(reason, (0, []))
        if which and len(examples) < _EXAMPLES:
            examples.append(which)
        self.found[reason] = before + count, examples

    def total(self) -> int:
        return sum(count for count, _ in self.found.values())

    def lines(self, of: str) -> Iterator[str]:
        for reason, (count, examples) in self.found.items():
            dots = ", ..." if examples and len(examples) < count else ""
            named = f" ({', '.join(examples)}{dots})" if examples else ""
            yield f"  {count:,} {of}: {reason}{named}"


class Tally:
    """Of one table. Each row that was read was imported, came before, or is left."""

    def __init__(self) -> None:
        self.read = 0
        self.imported = 0
        self.before = 0
        self.left = Reasons()
        self.changed = Reasons()


class Report:
    def __init__(self) -> None:
        self.workers, self.projects, self.access, self.tasks, self.votes = (Tally() for _ in range(5))
        self.put_back = 0
        """Imported tasks that were assigned."""
        self.failed = 0
        """Imported tasks that have failed."""
        self.closed = 0
        """Imported tasks that had all their votes."""

    def _tallies(self) -> dict[str, Tally]:
        names = ("workers", "projects", "access", "tasks", "votes")
        return {name: getattr(self, name) for name in names}

    def text(self) -> str:
        tallies = self._tallies()
        rows = [(name, t.read, t.imported, t.before, t.left.total()) for name, t in tallies.items()]
        lines = [table(("", "read", "imported", "before", "left"), rows)]
        lines.append(
            f"of the imported tasks, {self.put_back:,} were assigned and wait again, {self.failed:,} have failed"
            + (f", {self.closed:,} had all their votes and are closed" if self.closed else "")
        )
        changed = [line for name, tally in tallies.items() for line in tally.changed.lines(name)]
        left = [line for name, tally in tallies.items() for line in tally.left.lines(name)]
        lines += ["with a change:", *changed] if changed else []
        lines += ["left:", *left] if left else ["nothing is left"]
        lines.append("managers register anew: broker create-admin makes the first, who gives roles to the others")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        def plain(reasons: Reasons) -> list[dict[str, Any]]:
            return [{"reason": why, "count": count, "first": ids} for why, (count, ids) in reasons.found.items()]

        tallies = {
            name: {
                "read": tally.read,
                "imported": tally.imported,
                "before": tally.before,
                "left": plain(tally.left),
                "changed": plain(tally.changed),
            }
            for name, tally in self._tallies().items()
        }
        return {**tallies, "put_back": self.put_back, "failed": self.failed, "closed": self.closed}
