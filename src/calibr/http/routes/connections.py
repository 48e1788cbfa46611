"""Connections to stores and the syncs that read them."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, SecretStr
from starlette.responses import Response

from calibr import catalog, inbound
from calibr.catalog import Connection, SyncFinding, SyncMode
from calibr.connectors.port import Health
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId, SyncId
from calibr.db import Session
from calibr.http.answer import Answer, accepted, created
from calibr.http.body import JsonBody, NoBody, RequestModel, Text
from calibr.http.caller import Caller, CatalogRead, ConnectorsWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.views import catalog as views

router = APIRouter(prefix="/v1", tags=["connections"])
CONNECTIONS = Keyset("connections", (UUID,))
FINDINGS = Keyset("findings", (int,))
Nothing = Annotated[NoBody, Depends(JsonBody(NoBody))]


class NewConnection(RequestModel):
    """A store to connect. Which fields `config` and `secrets` take depends on the kind of connector."""

    kind: Text = Field(min_length=1, max_length=64, examples=["shopify"])
    name: Text = Field(min_length=1, max_length=200)
    config: dict[str, Any] = Field(examples=[{"shop_url": "https://example.myshopify.com"}])
    secrets: dict[str, SecretStr] = Field(description="Sealed at once and never shown again.")


class SyncRequest(RequestModel):
    """How to read."""

    mode: SyncMode = Field(
        default=SyncMode.AUTO,
        description="`full` reads everything, `incremental` what changed since the last sync. `auto` takes the second"
        " while a full one of the last 24 hours stands, and the first otherwise.",
    )
    force: bool = Field(
        default=False, description="Believe the store even if most of what it sold seems to have vanished."
    )


@router.post(
    "/connections",
    summary="Connect a store",
    operation_id="create_connection",
    status_code=201,
    responses={201: {"model": views.ConnectionView}},
)
def create_connection(
    caller: ConnectorsWrite, body: Annotated[NewConnection, Depends(JsonBody(NewConnection))]
) -> Response:
    """Judges the configuration and seals the secrets. It does not speak with the store: `check` and a sync do."""
    secrets = {name: value.get_secret_value() for name, value in body.secrets.items()}
    wanted = catalog.NewConnection(body.kind, body.name, body.config, secrets)
    services = caller.services

    def work(session: Session) -> Answer:
        made = catalog.create_connection(session, wanted, vault=services.vault, connectors=services.connectors)
        return created(views.connection(made), f"/v1/connections/{made.id}")

    return caller.command(work)


@router.get(
    "/connections",
    summary="List connections",
    operation_id="list_connections",
    responses={200: {"model": Page[views.ConnectionView]}},
)
def list_connections(caller: CatalogRead, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Oldest first."""
    start = CONNECTIONS.first(after) if after is not None else None
    with caller.session() as session:
        rows = catalog.list_connections(session, after=start, limit=limit + 1)
    return Answer(CONNECTIONS.page(rows, limit, view=views.connection, key=lambda row: (row.id,))).response()


@router.get(
    "/connections/{connection_id}",
    summary="Get a connection",
    operation_id="get_connection",
    responses={200: {"model": views.ConnectionView}},
)
def get_connection(caller: CatalogRead, connection_id: UUID) -> Response:
    """With the health that the last check found."""
    with caller.session() as session:
        return Answer(views.connection(catalog.get_connection(session, ConnectionId(connection_id)))).response()


@router.post(
    "/connections/{connection_id}/check",
    summary="Check a connection",
    operation_id="check_connection",
    responses={200: {"model": views.ConnectionView}},
)
def check_connection(caller: ConnectorsWrite, connection_id: UUID, _body: Nothing) -> Response:
    """Asks the store who it is and what the token may do. A store that does not answer is a finding, not an error."""
    if (answered := caller.answered()) is not None:
        return answered
    health = _ask(caller, ConnectionId(connection_id))

    def work(session: Session) -> Answer:
        known = catalog.get_connection(session, ConnectionId(connection_id))
        whole = _with_webhooks(caller, session, known, health)
        return Answer(views.connection(catalog.record_health(session, known.id, whole)))

    return caller.command(work)


@router.post(
    "/connections/{connection_id}/syncs",
    summary="Read a store's catalog",
    operation_id="request_sync",
    status_code=202,
    responses={202: {"model": views.SyncView}},
)
def request_sync(
    caller: ConnectorsWrite, connection_id: UUID, body: Annotated[SyncRequest, Depends(JsonBody(SyncRequest))]
) -> Response:
    """The worker reads products, prices and costs, and records what is new, changed or gone. One sync at a time.

    An incremental sync reads every product group that the store says was updated, with all of its variants. It counts
    the store's variants too: where some are missing it goes on as a full one, which finds what was deleted.
    """

    def work(session: Session) -> Answer:
        sync = catalog.request_sync(session, ConnectionId(connection_id), force=body.force, mode=body.mode)
        return accepted(views.sync(sync), f"/v1/syncs/{sync.id}")

    return caller.command(work)


@router.post(
    "/connections/{connection_id}/price-lists/read",
    summary="Read a store's price lists and markets",
    operation_id="request_price_lists",
    status_code=202,
    responses={202: {"model": views.PriceListsView}},
)
def request_price_lists(caller: ConnectorsWrite, connection_id: UUID, _body: Nothing) -> Response:
    """The worker reads them now; it does so every half an hour, and after each sync, anyway."""

    def work(session: Session) -> Answer:
        inbound.request_price_lists(session, ConnectionId(connection_id))
        watch = inbound.get_watch(session, ConnectionId(connection_id))
        return accepted(views.price_lists(watch), f"/v1/connections/{connection_id}/price-lists")

    return caller.command(work)


@router.get(
    "/connections/{connection_id}/price-lists",
    summary="How current are a store's price lists?",
    operation_id="get_price_lists_state",
    responses={200: {"model": views.PriceListsView}},
)
def get_price_lists_state(caller: CatalogRead, connection_id: UUID) -> Response:
    """When the last reading of price lists and markets began and ended, and why it failed if it did."""
    with caller.session() as session:
        known = catalog.get_connection(session, ConnectionId(connection_id))
        return Answer(views.price_lists(inbound.get_watch(session, known.id))).response()


@router.get(
    "/syncs/{sync_id}", summary="Get a sync", operation_id="get_sync", responses={200: {"model": views.SyncView}}
)
def get_sync(caller: CatalogRead, sync_id: UUID) -> Response:
    """How far it is, and what it found."""
    with caller.session() as session:
        return Answer(views.sync(catalog.get_sync(session, SyncId(sync_id)))).response()


@router.get(
    "/syncs/{sync_id}/findings",
    summary="List what a sync refused",
    operation_id="list_sync_findings",
    responses={200: {"model": Page[SyncFinding]}},
)
def list_findings(caller: CatalogRead, sync_id: UUID, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Values of the store that break a rule of ours; the rest of the catalog came in without them."""
    start = FINDINGS.first_number(after) if after is not None else 0
    with caller.session() as session:
        rows = catalog.list_findings(session, SyncId(sync_id), after=start, limit=limit + 1)
    return Answer(FINDINGS.page(rows, limit, view=lambda row: row, key=lambda row: (row.ordinal,))).response()


def _with_webhooks(caller: Caller, session: Session, known: Connection, health: Health) -> Health:
    """The health with the state of each topic that we want to be told of, as the last look at the store found it."""
    reader = caller.services.webhook_readers.get(known.kind)
    if reader is None or caller.services.public_url is None:
        return health  # nobody could reach us, so that nothing is asked for
    watch = inbound.get_watch(session, known.id)
    if watch.webhooks_checked_at is None:
        return replace(health, webhooks=dict.fromkeys(reader.topics, "not asked for yet"))
    held = {each["topic"] for each in watch.webhooks}
    topics = {topic: "subscribed" if topic in held else "missing" for topic in reader.topics}
    told = () if watch.webhooks_problem is None else (f"Webhooks: {watch.webhooks_problem}",)
    return replace(health, webhooks=topics, warnings=(*health.warnings, *told))


def _ask(caller: Caller, connection_id: ConnectionId) -> Health:
    """The store's answer. No transaction is open while we wait for it."""
    services = caller.services
    with caller.session() as session:
        connector = catalog.open_connector(session, connection_id, services.vault, services.connectors, any_state=True)
    try:
        return connector.check()
    except Upstream as error:
        return Health(
            ok=False, latency_ms=None, store_name=None, currency=None, api_version=None, problems=(error.message,)
        )
    finally:
        connector.close()
