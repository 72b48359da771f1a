"""The totals of a project since it began: the one list of them in Python; ``lua/include/totals.lua`` has the same."""

TOTALS = {
    "submitted": "Tasks submitted by workers",
    "chained": "Tasks that came from another project, by its chain",
    "imported": "Tasks that broker import or import-tracker brought",
    "duplicates": "Tasks refused as duplicates",
    "assigned": "Tasks handed to workers",
    "voted": "Releases that counted as votes",
    "closed": "Tasks closed",
    "failed": "Tasks failed for good",
    "retried": "Releases as fail after which the task waited again",
    "skipped": "Releases as skip",
    "reclaimed": "Tasks taken back because their deadline had passed",
    "removed": "Tasks removed by managers, one by one",
    "dropped": "Closed tasks that their chain could not deliver, because that project is gone",
    "repeated": "Chained tasks that had been delivered before, and were ignored",
    "orphaned": "Tasks dropped because the store had lost their record",
}
"""What each counts."""
