"""Publishes events to a tenant's stream, and notices when the stream is no longer the one that took them.

An acknowledgement of a stream that is deleted a moment later is worth nothing. So the order of calls is: `prepare`,
remember what it says (all lanes go back to the start if the stream is another one), `deliver` any number of messages,
`confirm`, and only if that is true settle the positions in the database. A loss before `confirm` shows there, a loss
after it shows in the next `prepare`, which compares with what was remembered before the work.

A stream that was there and is missing is made anew only after the time of one call. Until then no worker can publish,
so every lane that was in the middle of its events has stopped, and the first event in the new stream is the first one.
Where somebody else makes it anew at once, each such lane may bring one event before it notices, never a second one.
"""

import re
import string
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import UUID

from calibr.core.errors import Unavailable
from calibr.delivery.jetstream.connection import NatsConnection
from calibr.delivery.jetstream.watch import Sight, StreamWatch
from calibr.delivery.model import Message, Outcome, Ready, Verdict

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import PubAck, StreamInfo

DUPLICATE_WINDOW_S: Final = 120.0
"""How long the server tells repeats apart. Only an optimisation: consumers keep an inbox by `Nats-Msg-Id`."""

_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_PLAIN: Final = string.punctuation.replace("%", "")
_HEADER_FRAME: Final = len("NATS/1.0\r\n\r\n")
_TOO_LARGE_FOR_STREAM: Final = 10054
_TOO_LARGE: Final = Verdict(Outcome.POISON, "the event is larger than the server takes")


def stream_name(tenant_id: UUID) -> str:  # arch: allow tenant: it names, it does not filter
    """A stream per tenant, so that one tenant's trouble or deletion is not another's."""
    return f"calibr-{tenant_id}"


def subject_of(message: Message) -> str:
    """`calibr.<tenant>.<aggregate type>.<type>`; dots in the type of an event are levels of the subject."""
    kind = ".".join(_NO_TOKEN.sub("_", part) or "_" for part in message.type.split("."))
    return f"calibr.{message.tenant_id}.{_NO_TOKEN.sub('_', message.aggregate_type) or '_'}.{kind}"


class JetStreamReceiver:
    """See `delivery.model.Receiver`. Each lane publishes one message after another; lanes publish side by side.

    `had_stream`: whether it is known that there was a stream before.
    """

    timeout_s: float

    def __init__(  # arch: allow tenant: it names, it does not filter
        self, url: str, tenant_id: UUID, timeout_s: float, *, had_stream: bool = False
    ) -> None:
        self.timeout_s = timeout_s
        self._had_stream = had_stream
        self._name = stream_name(tenant_id)
        self._subject = f"calibr.{tenant_id}.>"
        self._watch = StreamWatch()
        self._connection = NatsConnection(url, timeout_s)

    def prepare(self) -> Ready:
        """Look at the stream, which is made if it is missing; `remote` says which one it is and how far.

        Takes the time of three calls when the stream is lost.
        """
        try:
            info = self._look(make=not self._had_stream)
            if info is None:
                time.sleep(self.timeout_s)
                info = self._look(make=True)
        except Unavailable as error:
            return Ready(problem=error.message)
        if info is None:
            return Ready(problem="the stream could not be made")
        self._had_stream = True
        if self._subject not in (info.config.subjects or ()) or info.config.no_ack:
            return Ready(problem=f"the stream {self._name} must take {self._subject} and acknowledge it")
        return Ready(self._watch.prepare(_sight(info)))

    def confirm(self) -> bool:
        """Whether the stream is still the one that was prepared, and holds all that it acknowledged."""
        expected = self._watch.expected()  # before the look: what other lanes publish meanwhile may not show in it
        if expected is None:
            return False
        try:
            info = self._look(make=False)
        except Unavailable:
            return False
        return info is not None and expected.is_met_by(_sight(info))

    def deliver(self, message: Message) -> Verdict:
        """Publish once and wait for the acknowledgement."""
        from nats.errors import Error, MaxPayloadError  # noqa: PLC0415 - an extra
        from nats.js.errors import APIError  # noqa: PLC0415 - as above

        above = self._watch.begin()
        try:
            acknowledged = self._connection.run(partial(self._publish, message))
        except MaxPayloadError:
            return _TOO_LARGE
        except APIError as error:
            if error.err_code == _TOO_LARGE_FOR_STREAM:
                return _TOO_LARGE
            return Verdict(Outcome.RETRY, f"JetStream refused the event: {error.description}")
        except Unavailable as error:
            return Verdict(Outcome.RETRY, error.message)
        except Error as error:
            return Verdict(Outcome.RETRY, f"no acknowledgement came ({type(error).__name__})")
        return self._watch.judge(acknowledged.seq, is_repeat=bool(acknowledged.duplicate), above=above)

    def close(self) -> None:
        """End connection and thread."""
        self._connection.close()

    async def _publish(self, message: Message, client: "Client") -> "PubAck":
        """Publish to our stream and to no other one that takes the subject."""
        from nats.errors import MaxPayloadError  # noqa: PLC0415 - an extra

        headers = _headers(message) | {"Nats-Expected-Stream": self._name}
        size = len(message.body) + _HEADER_FRAME + sum(len(f"{name}: {value}\r\n") for name, value in headers.items())
        if size > client.max_payload:  # the client looks at the body alone, and then the server ends the connection
            raise MaxPayloadError
        context = client.jetstream()
        return await context.publish(subject_of(message), message.body, timeout=self.timeout_s, headers=headers)

    def _look(self, *, make: bool) -> "StreamInfo | None":
        """The stream as it is now; None if there is none. Raises Unavailable."""
        from nats.errors import Error  # noqa: PLC0415 - an extra

        try:
            return self._connection.run(partial(self._find, make))
        except Error as error:
            said = getattr(error, "description", None) or type(error).__name__
            raise Unavailable("delivery.jetstream", f"JetStream does not serve us: {said}.", retryable=True) from error

    async def _find(self, make: bool, client: "Client") -> "StreamInfo | None":  # noqa: FBT001 - bound by partial
        from nats.js.errors import NotFoundError  # noqa: PLC0415 - an extra

        context = client.jetstream(timeout=self.timeout_s)
        try:
            return await context.stream_info(self._name)
        except NotFoundError:
            return await context.add_stream(**self._config()) if make else None

    def _config(self) -> dict[str, Any]:
        """Kept on disk without a limit of ours; a limit of the operator refuses new messages and drops no old ones."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType  # noqa: PLC0415 - an extra

        return {
            "name": self._name,
            "subjects": [self._subject],
            "storage": StorageType.FILE,
            "retention": RetentionPolicy.LIMITS,
            "discard": DiscardPolicy.NEW,
            "duplicate_window": DUPLICATE_WINDOW_S,
            "allow_direct": True,
        }


def _headers(message: Message) -> dict[str, str]:
    """The id of the aggregate is percent-encoded where it is not printable ASCII: a header is one line."""
    headers = {
        "Nats-Msg-Id": str(message.event_id),
        "Calibr-Seq": str(message.seq),
        "Calibr-Aggregate-Id": quote(message.aggregate_id, safe=_PLAIN),
        "Content-Type": "application/json",
    }
    if message.is_replay:
        headers["Calibr-Replay"] = "true"
    return headers


def _sight(info: "StreamInfo") -> Sight:
    created = info.created.isoformat() if info.created is not None else ""
    return Sight(created, info.state.first_seq, info.state.last_seq, info.config.duplicate_window)
