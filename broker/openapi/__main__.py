"""Prints docs/http-api.md: ``python -m broker.openapi``."""

from broker.openapi.page import page

if __name__ == "__main__":
    print(page(), end="")
