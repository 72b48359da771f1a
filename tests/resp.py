"""The part of Redis's protocol that a fake server needs."""

import asyncio


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command; none when the client has hung up."""
    if not (line := await reader.readline()):
        return []
    words = []
    for _ in range(int(line[1:])):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words
