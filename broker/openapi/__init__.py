"""The description of the HTTP API, for machines: every call, once, in the module of its group."""

from broker.openapi.bodies import NOTES
from broker.openapi.document import ENTRIES, document

__all__ = ["BODIES", "ENTRIES", "document"]

BODIES = frozenset(struct.__name__ for struct in NOTES)
"""Names of the schemas of what clients send."""
