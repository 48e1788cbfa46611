"""Webhooks out: signed messages to receivers that tenants name, over a transport that only reaches the internet."""

from calibr.delivery.webhook.addresses import AddressPolicy
from calibr.delivery.webhook.endpoint import Endpoint, parse_endpoint
from calibr.delivery.webhook.kind import webhook_kind
from calibr.delivery.webhook.schedule import (
    WEBHOOK_ATTEMPTS,
    check_secret,
    new_secret,
    projection_delay_s,
    webhook_delay_s,
)
from calibr.delivery.webhook.sender import WebhookReceiver
from calibr.delivery.webhook.transport import Resolver

__all__ = [
    "WEBHOOK_ATTEMPTS",
    "AddressPolicy",
    "Endpoint",
    "Resolver",
    "WebhookReceiver",
    "check_secret",
    "new_secret",
    "parse_endpoint",
    "projection_delay_s",
    "webhook_delay_s",
    "webhook_kind",
]
