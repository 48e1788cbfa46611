"""What a store sends us by itself, and how it is told to. A webhook is a hint: only a reading is a fact.

A reader works on bytes and never does I/O: it says whether a delivery is the store's, what it is about, and which
listings somebody should look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from calibr.connectors.port import RemotePrice


class WebhookKind(StrEnum):
    """What a delivery is about."""

    GROUP_CHANGED = "group_changed"
    GROUP_DELETED = "group_deleted"
    BULK_FINISHED = "bulk_finished"
    UNINSTALLED = "uninstalled"
    SCOPES_CHANGED = "scopes_changed"
    DATA_REQUEST = "data_request"
    CUSTOMER_REDACT = "customer_redact"
    SHOP_REDACT = "shop_redact"
    OTHER = "other"


BODY_KINDS = frozenset({WebhookKind.GROUP_CHANGED, WebhookKind.GROUP_DELETED, WebhookKind.SCOPES_CHANGED})
"""Only of these the body is kept until it is worked in. Others say nothing more, or hold people's data."""


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One delivery that is certainly the store's. `delivery_id` is the same whenever it is sent again."""

    delivery_id: str
    topic: str
    kind: WebhookKind
    event_id: str | None
    triggered_at: datetime | None


@dataclass(frozen=True, slots=True)
class GroupNotice:
    """What a delivery says of one product group.

    `prices` are the listings that it shows with their values, `others` those that it only names.
    """

    group_external_id: str
    prices: tuple[RemotePrice, ...] = ()
    others: tuple[str, ...] = ()


class WebhookReader(Protocol):
    """Understands what the stores of one kind of connector send."""

    max_body_bytes: int
    topics: tuple[str, ...]
    """What a connection subscribes to."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, config: Mapping[str, object], secrets: Mapping[str, str]
    ) -> WebhookDelivery:
        """Say whose delivery it is, by its signature over the raw bytes.

        Raises Unauthenticated `webhook.signature` or `webhook.shop`, and Invalid `webhook.headers`.
        """
        ...

    def read_group(self, kind: WebhookKind, body: bytes, currency: str) -> GroupNotice:
        """Read a delivery about a product group. Raises Invalid `webhook.body`."""
        ...

    def read_scopes(self, body: bytes) -> tuple[str, ...]:
        """Read which scopes are granted now. Raises Invalid `webhook.body`."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteWebhook:
    """A subscription as the store lists it."""

    topic: str
    url: str


@runtime_checkable
class RegistersWebhooks(Protocol):
    """A connector whose store can be told by its API where to send webhooks."""

    def list_webhooks(self) -> Sequence[RemoteWebhook]:
        """The subscriptions of this app at the store. Raises `Upstream`."""
        ...

    def subscribe_webhook(self, topic: str, url: str) -> None:
        """Have a topic sent to an address. Raises `Upstream`, `upstream.rejected` when the store refuses."""
        ...
