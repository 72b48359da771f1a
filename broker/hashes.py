"""The hashes that brokers and workers must compute alike, in any language."""

import hashlib
import struct

from siphashc import siphash

# The original tracker's SipHash-2-4 key: the integers 1 and 2.
_KEY = struct.pack("<QQ", 1, 2)


def hash64(text: str | bytes) -> int:
    """The hash64 that the broker gives a task with this unique_string; text counts as UTF-8.

    SipHash-2-4 with the key (1, 2), as a signed 64-bit number: of ``test`` it is 6838688128588807185.
    """
    digest: int = siphash(_KEY, text.encode() if isinstance(text, str) else text)
    return digest - 2**64 if digest >= 2**63 else digest


def verification(content: str | bytes) -> int:
    """A number to release a task with, the same for all workers that found the same content; text counts as UTF-8.

    The first 8 bytes of SHA-256, as a signed big-endian number: of ``test`` it is -6951639720043709083.
    """
    data = content.encode() if isinstance(content, str) else content
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)
