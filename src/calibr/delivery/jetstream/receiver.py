"""Publishes events to a tenant's stream, and notices when the stream is no longer the one that took them.

A publication counts once its PubAck is there, and is settled once the stream was looked at again afterwards: an
acknowledgement of a stream that was deleted a moment later is worth nothing.
"""

import re
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from calibr.core.errors import Unavailable
from calibr.delivery.jetstream.connection import NatsConnection
from calibr.delivery.model import Message, Outcome, Ready, Verdict

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

DUPLICATE_WINDOW_S: Final = 120.0
"""How long the server tells repeats apart. Only an optimisation: consumers keep an inbox by `Nats-Msg-Id`."""

_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")


def stream_name(tenant_id: UUID) -> str:
    """A stream per tenant, so that one tenant's trouble or deletion is not another's."""
    return f"calibr-{tenant_id}"


def subject_of(message: Message) -> str:
    """`calibr.<tenant>.<aggregate type>.<type>`; dots in the type of an event are levels of the subject."""
    kind = ".".join(_NO_TOKEN.sub("_", part) or "_" for part in message.type.split("."))
    return f"calibr.{message.tenant_id}.{_NO_TOKEN.sub('_', message.aggregate_type)}.{kind}"


class JetStreamReceiver:
    """See `delivery.model.Receiver`. Each lane publishes one message after another; lanes publish side by side."""

    timeout_s: float

    def __init__(self, url: str, tenant_id: UUID, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._name = stream_name(tenant_id)
        self._subjects = [f"calibr.{tenant_id}.>"]
        self._connection = NatsConnection(url, timeout_s / 2)
        self._created: str | None = None
        self._acked = 0

    def prepare(self) -> Ready:
        """Look at the stream, which is made if it is missing; `remote` says which one it is and how far."""
        try:
            info = self._look(make=True)
        except Unavailable as error:
            return Ready(problem=error.message)
        if info is None:
            return Ready(problem="the stream could not be made")
        self._created, self._acked = _created(info), 0
        return Ready({"created": self._created, "last_seq": info.state.last_seq})

    def confirm(self) -> bool:
        """Whether the stream is still the one that was prepared, and holds all that it acknowledged."""
        try:
            info = self._look(make=False)
        except Unavailable:
            return False
        return info is not None and _created(info) == self._created and info.state.last_seq >= self._acked

    def deliver(self, message: Message) -> Verdict:
        """Publish once and wait for the acknowledgement."""
        from nats.errors import Error, MaxPayloadError  # noqa: PLC0415 - an extra
        from nats.js.errors import APIError  # noqa: PLC0415 - as above

        try:
            context = self._connection.jetstream()
            publishing = context.publish(
                subject_of(message), message.body, timeout=self.timeout_s / 2, headers=_headers(message)
            )
            acknowledged = self._connection.run(publishing)
        except MaxPayloadError:
            return Verdict(Outcome.POISON, "the event is larger than the server takes")
        except APIError as error:
            return Verdict(Outcome.RETRY, f"JetStream refused the event: {error.description}")
        except Unavailable as error:
            return Verdict(Outcome.RETRY, error.message)
        except Error as error:
            return Verdict(Outcome.RETRY, f"no acknowledgement came ({type(error).__name__})")
        if acknowledged.stream != self._name:
            return Verdict(Outcome.RETRY, f"another stream, {acknowledged.stream}, takes these subjects")
        self._acked = max(self._acked, acknowledged.seq)
        return Verdict(Outcome.DELIVERED)

    def close(self) -> None:
        """End connection and thread."""
        self._connection.close()

    def _look(self, *, make: bool) -> "StreamInfo | None":
        """The stream as it is now; None if there is none. Raises Unavailable."""
        from nats.errors import Error  # noqa: PLC0415 - an extra
        from nats.js.errors import NotFoundError  # noqa: PLC0415 - as above

        context = self._connection.jetstream()
        try:
            return self._connection.run(context.stream_info(self._name))
        except NotFoundError:
            if not make:
                return None
        except Error as error:
            raise _trouble(error) from error
        try:
            return self._connection.run(context.add_stream(**self._config()))
        except Error as error:
            raise _trouble(error) from error

    def _config(self) -> dict[str, Any]:
        """Kept on disk without a limit of ours; a limit of the operator refuses new messages and drops no old ones."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType  # noqa: PLC0415 - an extra

        return {
            "name": self._name,
            "subjects": self._subjects,
            "storage": StorageType.FILE,
            "retention": RetentionPolicy.LIMITS,
            "discard": DiscardPolicy.NEW,
            "duplicate_window": DUPLICATE_WINDOW_S,
        }


def _headers(message: Message) -> dict[str, str]:
    headers = {
        "Nats-Msg-Id": str(message.event_id),
        "Calibr-Seq": str(message.seq),
        "Calibr-Aggregate-Id": message.aggregate_id,
        "Content-Type": "application/json",
    }
    if message.is_replay:
        headers["Calibr-Replay"] = "true"
    return headers


def _created(info: "StreamInfo") -> str:
    return info.created.isoformat() if info.created is not None else ""


def _trouble(error: Exception) -> Unavailable:
    said = getattr(error, "description", None) or type(error).__name__
    return Unavailable("delivery.jetstream", f"JetStream does not serve us: {said}.", retryable=True)
