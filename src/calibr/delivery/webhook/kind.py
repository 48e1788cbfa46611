"""Webhooks as a kind of subscriber: what their configuration is, how they are opened, when they are tried again."""

import random
from collections.abc import Mapping
from typing import Any, Final

from calibr.core.errors import Fault, Invalid
from calibr.db import Session
from calibr.delivery.model import Subscription
from calibr.delivery.service import KindRules
from calibr.delivery.subscribers import Kind
from calibr.delivery.webhook.addresses import AddressPolicy
from calibr.delivery.webhook.endpoint import parse_endpoint
from calibr.delivery.webhook.schedule import new_secret, webhook_delay_s
from calibr.delivery.webhook.sender import WebhookReceiver

FIELDS: Final = frozenset({"url"})


def webhook_kind(policy: AddressPolicy, timeout_s: float) -> Kind:
    """Webhooks whose addresses keep `policy`, and whose deliveries take at most `timeout_s`."""

    def judge(config: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(config.keys() - FIELDS)
        if unknown:
            fault = Fault(f"$.config.{unknown[0]}", None, "is not known; url is")
            raise Invalid("subscription.config", f"config.{unknown[0]} {fault.rule}", faults=(fault,))
        url = config.get("url")
        if not isinstance(url, str):
            fault = Fault("$.config.url", None, "must be given: where events are sent, https://...")
            raise Invalid("subscription.config", f"config.url {fault.rule}", faults=(fault,))
        return {"url": parse_endpoint(url, policy).url}

    def open_receiver(subscription: Subscription, secrets: list[str], _session: Session) -> WebhookReceiver:
        endpoint = parse_endpoint(str(subscription.config["url"]), policy)
        return WebhookReceiver(endpoint, secrets, policy=policy, timeout_s=timeout_s)

    return Kind(KindRules(judge, new_secret), open_receiver, next_try_s)


def next_try_s(failures: int) -> float | None:
    """Seconds until the next try after `failures` in a row; None once the schedule is used up."""
    return webhook_delay_s(failures + 1, random.random())  # noqa: S311 - jitter
