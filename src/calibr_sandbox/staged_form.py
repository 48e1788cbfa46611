"""Reads a multipart form as it arrives: the fields before the file, then the file, straight into a file of ours."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

_MAX_FIELD: Final = 65_536
_NAME: Final = re.compile(rb'name="([^"]*)"')


class BadFormError(ValueError):
    """The body is not the form that it says it is."""


class FormTooLargeError(ValueError):
    """The file is larger than the storage takes at all."""


class FormReader:
    """One form."""

    def __init__(self, boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Read these chunks of a body with this boundary."""
        self._mark = b"\r\n--" + boundary
        self._chunks = chunks
        # The first boundary has no line break before it; with this one all are alike.
        self._held = bytearray(b"\r\n")

    async def fields(self) -> list[tuple[str, str]]:
        """Return the fields before the part named `file`, in their order; then the file can be received."""
        await self._until(self._mark, _MAX_FIELD)
        found: list[tuple[str, str]] = []
        while True:
            head = await self._until(b"\r\n\r\n", _MAX_FIELD)
            if head.startswith(b"--"):
                raise BadFormError("the form has no file")
            name = _NAME.search(head)
            if name is None:
                raise BadFormError("a part of the form has no name")
            if name[1] == b"file":
                return found
            value = await self._until(self._mark, _MAX_FIELD)
            found.append((name[1].decode("utf-8", "replace"), value.decode("utf-8", "replace")))

    async def receive(self, path: Path, limit: int) -> int:
        """Write the file's bytes to a path and return how many there were. What follows the file is not read."""
        size = 0
        with path.open("wb") as file:
            while True:
                place = self._held.find(self._mark)
                ready = place if place >= 0 else max(0, len(self._held) - len(self._mark))
                size += file.write(self._held[:ready])
                del self._held[:ready]
                if size > limit:
                    raise FormTooLargeError(f"more than {limit} bytes")
                if place >= 0:
                    return size
                await self._more()

    async def _until(self, mark: bytes, limit: int) -> bytes:
        while (place := self._held.find(mark)) < 0:
            # A form whose last boundary closes it has no further head to wait for.
            if mark == b"\r\n\r\n" and self._held.startswith(b"--"):
                return bytes(self._held)
            if len(self._held) > limit:
                raise BadFormError(f"a field of the form is longer than {limit} bytes")
            await self._more()
        found = bytes(self._held[:place])
        del self._held[: place + len(mark)]
        return found

    async def _more(self) -> None:
        async for chunk in self._chunks:
            if chunk:
                self._held += chunk
                return
        raise BadFormError("the form breaks off")
