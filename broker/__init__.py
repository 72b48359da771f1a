"""A Redis-backed task broker for crawler fleets over HTTP."""

__version__ = "0.1.0"
