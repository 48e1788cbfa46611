"""How connections get their credentials: consent of a store's owner, other secrets, off and on."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from calibr import catalog
from calibr.core.errors import Fault, Invalid
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.http.answer import Answer
from calibr.http.body import JsonBody, NoBody, RequestModel
from calibr.http.caller import ConnectorsWrite
from calibr.http.services import Services
from calibr.http.views import catalog as views

CALLBACK: Final = "/v1/oauth/callback"
MOST_PARAMETERS: Final = 30

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The query does not hold, or was used before.", "content": _PROBLEM},
    409: {"description": "Another connection holds the tokens of this app in this store.", "content": _PROBLEM},
    502: {"description": "The store does not give the tokens.", "content": _PROBLEM},
}

router = APIRouter(tags=["connections"])
Nothing = Annotated[NoBody, Depends(JsonBody(NoBody))]


class NewSecrets(RequestModel):
    """The whole credential that a person gives; what the store issued for the old one is not used any more."""

    secrets: dict[str, SecretStr] = Field(description="Sealed at once and never shown again.")


@router.post(
    "/v1/connections/{connection_id}/authorize",
    summary="Ask the owner of a store for consent",
    operation_id="authorize_connection",
    responses={200: {"model": views.ConsentView}},
)
def authorize_connection(caller: ConnectorsWrite, connection_id: UUID, request: Request, _body: Nothing) -> Response:
    """For connections of the method `authorization_code`, new or again.

    The owner opens `authorize_url` in a browser within ten minutes; the store then sends the browser to `redirect_uri`,
    and the connection becomes `active`.
    """
    services = caller.services
    redirect_uri = f"{(services.public_url or str(request.base_url)).rstrip('/')}{CALLBACK}"

    def work(session: Session) -> Answer:
        asked = catalog.request_consent(
            session,
            ConnectionId(connection_id),
            redirect_uri,
            vault=services.vault,
            connectors=services.connectors,
        )
        shown, kept = (views.consent(connection_id, asked, with_url=visible) for visible in (True, False))
        return Answer(shown, remembered=kept)

    return caller.command(work)


@router.get(
    CALLBACK,
    summary="Where a store sends the browser of its owner",
    operation_id="finish_authorization",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **REFUSALS},
)
def finish_authorization(services: Services, request: Request) -> Response:
    """Public: a browser has no token of ours. The store's signature and our own, good once, are what is believed."""
    query = _single(parse_qsl(str(request.scope["query_string"], "latin-1"), keep_blank_values=True))
    done = catalog.accept_consent(services.database, query, vault=services.vault, connectors=services.connectors)
    services.wake_worker()
    return PlainTextResponse(f"{done.name} is connected to Calibr. You may close this window.\n")


@router.post(
    "/v1/connections/{connection_id}/secrets",
    summary="Give a connection another credential",
    operation_id="replace_connection_secrets",
    responses={200: {"model": views.ConnectionView}},
)
def replace_secrets(
    caller: ConnectorsWrite, connection_id: UUID, body: Annotated[NewSecrets, Depends(JsonBody(NewSecrets))]
) -> Response:
    """For a token that was revoked or a client secret that was rotated. `check` then proves whether it is good."""
    secrets = {name: value.get_secret_value() for name, value in body.secrets.items()}
    services = caller.services

    def work(session: Session) -> Answer:
        found = catalog.replace_secrets(
            session,
            ConnectionId(connection_id),
            secrets,
            vault=services.vault,
            connectors=services.connectors,
        )
        return Answer(views.connection(found))

    return caller.command(work)


@router.post(
    "/v1/connections/{connection_id}/disable",
    summary="Switch a connection off",
    operation_id="disable_connection",
    responses={200: {"model": views.ConnectionView}},
)
def disable_connection(caller: ConnectorsWrite, connection_id: UUID, _body: Nothing) -> Response:
    """Nothing is read or written through it until it is enabled."""

    def work(session: Session) -> Answer:
        return Answer(views.connection(catalog.disable_connection(session, ConnectionId(connection_id))))

    return caller.command(work)


@router.post(
    "/v1/connections/{connection_id}/enable",
    summary="Switch a connection on again",
    operation_id="enable_connection",
    responses={200: {"model": views.ConnectionView}},
)
def enable_connection(caller: ConnectorsWrite, connection_id: UUID, _body: Nothing) -> Response:
    """A check or a sync then shows how it is."""

    def work(session: Session) -> Answer:
        return Answer(views.connection(catalog.enable_connection(session, ConnectionId(connection_id))))

    return caller.command(work)


def _single(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    """The parameters by name. One that comes twice is refused: which of the two would the signature be about?"""
    query = dict(pairs)
    if len(query) != len(pairs) or len(pairs) > MOST_PARAMETERS:
        rule = f"must be at most {MOST_PARAMETERS} parameters, each once"
        raise Invalid("connection.return", f"The query {rule}.", faults=(Fault("query", None, rule),))
    return query
