"""JetStream as a kind of subscriber. Its server is the operator's: a tenant names no address."""

import random
from collections.abc import Mapping
from typing import Any

from calibr.core.errors import Fault, Invalid
from calibr.db import Session
from calibr.delivery.jetstream.connection import require_nats
from calibr.delivery.jetstream.receiver import JetStreamReceiver
from calibr.delivery.model import Subscription
from calibr.delivery.service import KindRules
from calibr.delivery.subscribers import Kind
from calibr.delivery.webhook.schedule import projection_delay_s


def jetstream_kind(url: str, timeout_s: float) -> Kind:
    """Streams on the server at `url`; a publication takes at most `timeout_s`."""

    def judge(config: Mapping[str, Any]) -> dict[str, Any]:
        require_nats()
        if config:
            name = min(config)
            fault = Fault(
                f"$.config.{name}",
                None,
                "is not known: the server is the operator's, and the stream is calibr-<tenant>",
            )
            raise Invalid("subscription.config", f"config.{name} {fault.rule}", faults=(fault,))
        return {}

    def open_receiver(subscription: Subscription, _secrets: list[str], session: Session) -> JetStreamReceiver:
        return JetStreamReceiver(url, session.tenant_id, timeout_s, had_stream=bool(subscription.remote))

    return Kind(KindRules(judge), open_receiver, lambda failures: projection_delay_s(failures, random.random()))  # noqa: S311 - jitter
