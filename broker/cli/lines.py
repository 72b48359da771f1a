"""Lines of text files, as ``submit`` and ``import`` read them, and what is wrong with some of them."""

import codecs

_NAMED = 20
"""Bad lines that are named; of the others, only how many they are is said."""


def without_mark(number: int, text: bytes) -> bytes:
    """A line with this number; the first may begin with a byte order mark."""
    return text.removeprefix(codecs.BOM_UTF8) if number == 1 else text


def is_blank(text: bytes) -> bool:
    """Whether a line holds nothing but ASCII white space: it is left out."""
    return not text.strip()


def recipe_of(text: bytes) -> str:
    """Without the line's end, and carriage returns around it. Raises :class:`ValueError` for what is no text."""
    if b"\0" in text:
        raise ValueError("a zero byte: the file is UTF-16 or no text, and must be UTF-8")
    try:
        return text.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{text[error.start]:02x}): the file must be UTF-8") from None


class BadLines:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self.count = 0
        self._said: list[str] = []

    def add(self, number: int, error: Exception) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self._said.append(f"line {number:,}: {error}")

    def text(self) -> str:
        """A line for each of the first."""
        more = [f"and {self.count - _NAMED:,} more"] if self.count > _NAMED else []
        return "\n".join([*self._said, *more])
