"""What the API shows of connections, syncs and price lists. Products and prices are shown as the catalog reads them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import WithJsonSchema

from calibr.catalog import Connection, ConsentRequest, SyncRun
from calibr.inbound import Watch

OptionalObject = Annotated[Any, WithJsonSchema({"type": ["object", "null"]})]


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A link to one store. Its secrets are never shown."""

    id: UUID
    kind: str
    name: str
    state: Literal["pending", "active", "failing", "unauthorized", "uninstalled", "disabled"]
    config: dict[str, Any]
    health: OptionalObject
    created_at: datetime
    first_synced_at: datetime | None
    last_synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class PriceListsView:
    """How current the price lists beside a store's base prices are."""

    connection_id: UUID
    begun_at: datetime | None
    """When the last reading began."""
    read_at: datetime | None
    """When the last one that went well ended."""
    problem: str | None
    """Why the last one failed."""


def price_lists(watch: Watch) -> PriceListsView:
    """The view of what is known of the last reading."""
    return PriceListsView(
        watch.connection_id, watch.price_lists_begun_at, watch.price_lists_read_at, watch.price_lists_problem
    )


@dataclass(frozen=True, slots=True)
class ConsentView:
    """Where the owner of the store has to go in a browser. `authorize_url` is good once and shown once."""

    connection_id: UUID
    authorize_url: str | None
    redirect_uri: str
    """Must be among the redirect URLs of the app, letter by letter."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SyncView:
    """One reading of a store's catalog."""

    id: UUID
    connection_id: UUID
    state: Literal["queued", "running", "completed", "failed"]
    stage: str
    rows_read: int
    rows_total: int | None
    summary: OptionalObject
    error: str | None
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    mode: Literal["auto", "full", "incremental"]
    """`auto` until it begins."""
    since: datetime | None
    """Of an incremental sync: it reads what changed in the store since then."""


def connection(found: Connection) -> ConnectionView:
    """The view of a connection."""
    return ConnectionView(**{name: getattr(found, name) for name in ConnectionView.__dataclass_fields__})


def consent(connection_id: UUID, asked: ConsentRequest, *, with_url: bool) -> ConsentView:
    """The view of a consent that was asked for."""
    return ConsentView(connection_id, asked.url if with_url else None, asked.redirect_uri, asked.expires_at)


def sync(found: SyncRun) -> SyncView:
    """The view of a sync."""
    return SyncView(**{name: getattr(found, name) for name in SyncView.__dataclass_fields__})
