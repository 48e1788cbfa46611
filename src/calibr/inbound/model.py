"""Deliveries of stores, what is watched there, and requests about people's data, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from calibr.connectors.port.webhooks import WebhookKind
from calibr.core.ids import ConnectionId


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery that waits to be worked in."""

    delivery_id: str
    kind: WebhookKind
    correlation_id: UUID
    body: bytes | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery. With `delay_s` it waits again; with `error` alone it failed for good."""

    delivery_id: str
    delay_s: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How often a store is looked after. Times in seconds, shares in basis points."""

    public_url: str | None = None
    """Where stores reach us; without it no webhooks are asked for."""
    webhooks_every_s: float = 600.0
    reread_every_s: float = 86_400.0
    reread_share_bp: int = 100
    sync_after_s: float = 30.0
    """How long what only a sync can take in waits for more of it."""
    sync_every_s: float = 900.0
    """How long after a sync such a wish waits at least."""
    price_lists_every_s: float = 1_800.0
    """How often price lists and markets are read, of which stores tell nothing by themselves; 0 never reads them."""
    work_dir: Path | None = None
    """Where files of such a reading may go; the system's place for such files without it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of one connection's webhooks and samples."""

    connection_id: ConnectionId
    webhooks: Sequence[Mapping[str, str]] = ()
    webhooks_problem: str | None = None
    webhooks_checked_at: datetime | None = None
    reread_at: datetime | None = None
    reread_listings: int = 0
    reread_differing: int = 0
    sync_wanted_since: datetime | None = None
    uninstalled_at: datetime | None = None
    price_lists_begun_at: datetime | None = None
    price_lists_read_at: datetime | None = None
    price_lists_problem: str | None = None
    waiting: int = 0
    failed: int = 0
    last_received_at: datetime | None = None


HOOK_PATH: Final = "/v1/hooks/"
