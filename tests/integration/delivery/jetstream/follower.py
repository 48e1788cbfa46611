"""A consumer as it should be: reads the stream as it grows, and has an inbox, so that a repeat has no effect."""

import asyncio
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import nats
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

EVERYTHING = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)


@dataclass
class Follower:
    """Follows one stream, also when it is lost and made anew, until the `with` block ends."""

    url: str
    stream: str
    inbox: set[str] = field(default_factory=set)
    effects: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    repeats: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()

    def reorders(self) -> int:
        """How often an effect came after one of a later event of the same aggregate."""
        pairs = (pair for seqs in self.effects.values() for pair in pairwise(seqs))
        return sum(later < earlier for earlier, later in pairs)

    async def _follow(self) -> None:
        client = await nats.connect(self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_quiet)
        context, made, consumer = client.jetstream(timeout=0.5), None, None
        while not self.stop.is_set():
            try:
                info = await context.stream_info(self.stream)
                if info.created != made:
                    made, consumer = None, await context.pull_subscribe("", stream=self.stream, config=EVERYTHING)
                    made = info.created
                assert consumer is not None
                for message in await consumer.fetch(50, timeout=0.1):
                    self._take(dict(message.headers))
            except (Error, TimeoutError):
                await asyncio.sleep(0.01)
        with suppress(Error):
            await client.close()

    def _take(self, headers: dict[str, Any]) -> None:
        if headers["Nats-Msg-Id"] in self.inbox:
            self.repeats += 1
            return
        self.inbox.add(headers["Nats-Msg-Id"])
        self.effects[headers["Calibr-Aggregate-Id"]].append(int(headers["Calibr-Seq"]))


async def _quiet(_error: Exception) -> None:
    """It is meant to lose its connection."""
