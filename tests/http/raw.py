"""HTTP by hand: bytes out, answers in. For what no well-behaved client would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.http.serving import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.line.split()[1])

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Raw:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes; a server that has hung up already is not an error here."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self, *, bodiless: bool = False) -> Answer | None:
        """The next answer, or None where the server has hung up. `bodiless` for the answer to HEAD."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except ConnectionError:
                return None
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                return None
            line, *fields = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            assert len(headers) == len(fields), f"a header is there twice: {fields}"
            length = 0 if bodiless else int(headers.get("content-length", "0"))
            return Answer(line, headers, await self.reader.readexactly(length))

    async def has_ended(self) -> bool:
        """Whether the server hangs up, without another byte."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Raw]:
    """A connection to a server of the tests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
