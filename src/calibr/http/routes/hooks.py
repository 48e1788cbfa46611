"""What stores send: a public address for each connection, whose deliveries are judged by their signature."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from calibr import catalog, inbound
from calibr.core.ids import ConnectionId
from calibr.http.answer import Answer
from calibr.http.body import SignedBody
from calibr.http.caller import AuditRead, Caller, ConnectorsWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.services import Services
from calibr.http.views import drift as views
from calibr.inbound import HOOK_PATH, HookAddress

router = APIRouter(prefix="/v1", tags=["webhooks in"])
REQUESTS = Keyset("privacy-requests", (UUID,))
MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""No store's webhook is longer; what is longer is not even read to its end."""


@router.post(
    "/hooks/{address}",
    summary="Receive a store's webhook",
    operation_id="receive_webhook",
    response_class=Response,
    responses={
        200: {"description": "Stored, now or before.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
def receive_webhook(
    services: Services, address: str, request: Request, body: Annotated[bytes, Depends(SignedBody(MAX_BODY_BYTES))]
) -> Response:
    """Answers as soon as the delivery is stored; the worker finds out what it means. A repeat changes nothing."""
    inbound.receive(services.database, services.vault, services.webhook_readers, address, (dict(request.headers), body))
    return Response(status_code=200)


@router.get(
    "/connections/{connection_id}/webhooks",
    summary="Get a connection's webhooks",
    operation_id="get_connection_webhooks",
    responses={200: {"model": views.WatchView}},
)
def get_connection_webhooks(caller: ConnectorsWrite, connection_id: UUID) -> Response:
    """Where they arrive, what the store sends, what waits, and what the last sample of prices found."""
    with caller.session() as session:
        connection = catalog.get_connection(session, ConnectionId(connection_id))
        watch = inbound.get_watch(session, connection.id)
    return Answer(views.watch(watch, _place(caller, connection.id, connection.kind))).response()


@router.get(
    "/privacy-requests",
    summary="List requests about people's data",
    operation_id="list_privacy_requests",
    responses={200: {"model": Page[views.PrivacyRequestView]}},
)
def list_privacy_requests(caller: AuditRead, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Oldest first: what platforms asked for, and whether it was carried out."""
    start = REQUESTS.first(after) if after is not None else None
    with caller.session() as session:
        rows = inbound.list_requests(session, after=start, limit=limit + 1)
    return Answer(REQUESTS.page(rows, limit, view=views.request, key=lambda row: (row.id,))).response()


def _place(caller: Caller, connection_id: ConnectionId, kind: str) -> views.Place:
    services = caller.services
    path = HOOK_PATH + HookAddress(caller.context.tenant_id, connection_id).text(services.vault)
    url = None if services.public_url is None else services.public_url.rstrip("/") + path
    reader = services.webhook_readers.get(kind)
    return views.Place(path, url, [] if reader is None else list(reader.topics))
