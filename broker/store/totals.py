"""The totals of a project: every place that stores, answers or shows them takes their names and meanings from here.

The client library has a list of its own, as it imports nothing of the server; a test holds it against this one.
"""

from typing import Annotated, get_type_hints

from msgspec import Meta, Struct


class Counters(Struct):
    """Totals since the project was made; one that is 0 is absent."""

    submitted: Annotated[int, Meta(description="Tasks submitted by workers")] = 0
    chained: Annotated[int, Meta(description="Tasks that came from another project, by its chain")] = 0
    imported: Annotated[int, Meta(description="Tasks that broker import or import-tracker brought")] = 0
    duplicates: Annotated[int, Meta(description="Tasks refused as duplicates")] = 0
    assigned: Annotated[int, Meta(description="Tasks handed to workers")] = 0
    voted: Annotated[int, Meta(description="Releases that counted as votes")] = 0
    closed: Annotated[int, Meta(description="Tasks closed")] = 0
    failed: Annotated[int, Meta(description="Tasks failed for good")] = 0
    retried: Annotated[int, Meta(description="Releases as fail that put a task back")] = 0
    skipped: Annotated[int, Meta(description="Releases as skip")] = 0
    reclaimed: Annotated[int, Meta(description="Tasks taken back because their deadline had passed")] = 0
    removed: Annotated[int, Meta(description="Tasks removed by managers, one by one")] = 0
    dropped: Annotated[int, Meta(description="Closed tasks that their chain could not deliver")] = 0
    repeated: Annotated[int, Meta(description="Chained tasks that had been delivered before, and were ignored")] = 0
    orphaned: Annotated[int, Meta(description="Tasks that the store had lost the record of, dropped")] = 0


TOTALS: dict[str, str] = {
    name: hint.__metadata__[0].description for name, hint in get_type_hints(Counters, include_extras=True).items()
}
"""Name to what it counts, in the order in which they are shown."""
