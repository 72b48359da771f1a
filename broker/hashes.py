"""The hashes that brokers and workers must compute alike, in any language."""

import hashlib
import struct
from collections.abc import Callable

# The original tracker's SipHash-2-4 key: the integers 1 and 2.
_KEY = struct.pack("<QQ", 1, 2)

_MASK = 2**64 - 1


def hash64(text: str | bytes) -> int:
    """The hash64 that the broker gives a task with this unique_string; text counts as UTF-8.

    SipHash-2-4 with the key (1, 2), as a signed 64-bit number: of ``test`` it is 6838688128588807185.
    """
    data = text.encode() if isinstance(text, str) else text
    digest = _siphash(_KEY, data)
    return digest - 2**64 if digest >= 2**63 else digest


def verification(content: str | bytes) -> int:
    """A number to release a task with, the same for all workers that found the same content; text counts as UTF-8.

    The first 8 bytes of SHA-256, as a signed big-endian number: of ``test`` it is -6951639720043709083.
    """
    data = content.encode() if isinstance(content, str) else content
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)


def slow_siphash(key: bytes, data: bytes) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012), in Python."""
    k0, k1 = struct.unpack("<QQ", key)
    state = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        a, b, c, d = state
        a, b, c, d = _round(*_round(a, b, c, d ^ word))
        state = (a ^ word, b, c, d)
    a, b, c, d = state
    state = (a, b, c ^ 0xFF, d)
    for _ in range(4):
        state = _round(*state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a, c = (a + b) & _MASK, (c + d) & _MASK
    b, d = _rotated(b, 13) ^ a, _rotated(d, 16) ^ c
    a, c = (_rotated(a, 32) + d) & _MASK, (c + b) & _MASK
    d, b = _rotated(d, 21) ^ a, _rotated(b, 17) ^ c
    return a, b, _rotated(c, 32), d


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK


def _fastest() -> Callable[[bytes, bytes], int]:
    try:
        from siphashc import siphash  # noqa: PLC0415 - only the server's packages bring it
    except ImportError:
        return slow_siphash
    return siphash


_siphash = _fastest()
