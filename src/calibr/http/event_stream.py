"""The event log as Server-Sent Events: short reads of the database, one after another, for as long as somebody listens.

A listener holds no connection to the database between reads, and its token is looked at again every half minute.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from calibr import access
from calibr.core.errors import CalibrError, Unavailable
from calibr.db import Context
from calibr.events import EventFilter, EventPage, LoggedEvent, list_events
from calibr.http.services import ApiServices

BATCH: Final = 200
POLL_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
RECHECK_S: Final = 30.0
MOST_STREAMS: Final = 100
RETRY_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens to what. Without `follows` the stream ends where the log ends."""

    services: ApiServices
    context: Context
    bearer: str
    wanted: EventFilter
    after: int
    follows: bool


class Streams:
    """Counts the streams of one process, and ends them when it stops."""

    def __init__(self) -> None:
        self._open = 0
        self.is_stopping = False

    def require_room(self) -> None:
        """Raise Unavailable `events.too_many_streams`."""
        if self._open >= MOST_STREAMS:
            raise Unavailable(
                "events.too_many_streams", f"{MOST_STREAMS} streams are open; try again later.", retryable=True
            )

    async def follow(self, request: Request, listener: Listener) -> AsyncIterator[bytes]:
        """Yield the stream's blocks."""
        self._open += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            async for block in self._blocks(request, listener):
                yield block
        finally:
            self._open -= 1

    async def _blocks(self, request: Request, listener: Listener) -> AsyncIterator[bytes]:
        after, told, checked = listener.after, time.monotonic(), time.monotonic()
        while not self.is_stopping and not await request.is_disconnected():
            now = time.monotonic()
            if now - checked > RECHECK_S:  # before the read: a client that was slow may have been refused meanwhile
                if not await run_in_threadpool(_still_may, listener):
                    return
                checked = now
            page = await run_in_threadpool(_read, listener, after)
            if page.events:
                yield b"".join(map(block_of, page.events))
                told = now
            elif now - told > HEARTBEAT_S:
                yield b"id: %d\n: still here\n\n" % page.looked_to  # so that who reconnects starts no earlier
                told = now
            after = page.looked_to
            if after >= page.head and not listener.follows:
                return
            if after >= page.head:
                await asyncio.sleep(POLL_S)


def block_of(event: LoggedEvent) -> bytes:
    """One event of the stream. Its id is the number in the log: what a client sends back to go on."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), event.body)


def as_document(event: LoggedEvent) -> dict[str, object]:
    """The envelope with its number, as lists show it."""
    return {"seq": event.seq, **orjson.loads(event.body)}


def _read(listener: Listener, after: int) -> EventPage:
    with listener.services.database.session(listener.context) as session:
        return list_events(session, listener.wanted, after=after, limit=BATCH)


def _still_may(listener: Listener) -> bool:
    try:
        principal = access.authenticate(listener.services.database, listener.bearer)
    except CalibrError:
        return False
    return access.Scope.AUDIT_READ in principal.scopes
