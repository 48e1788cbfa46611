"""Asks the owner of a store for consent in the browser, and takes what the browser brings back.

The `state` that travels through the browser names tenant and connection under our signature, so that it is known whose
it is before a single row is read; its hash stands in the database and is good once, for a short time. The way back is
believed only with the store's own signature on top.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from calibr.catalog.connection_states import AUTHORIZE
from calibr.catalog.connection_steps import is_usable, take_step
from calibr.catalog.grants import keep_issued
from calibr.catalog.model import Connection
from calibr.catalog.reads import get_connection
from calibr.catalog.repository_grants import (
    Consent,
    find_consent,
    insert_consent,
    lock_account,
    lock_grant,
    update_grant,
    use_consent,
)
from calibr.catalog.service import Connectors, open_connector
from calibr.connectors.port import Connector
from calibr.connectors.port.credentials import AsksForConsent, Issued
from calibr.core.errors import Conflict, Fault, Invalid
from calibr.core.ids import ConnectionId, TenantId, new_uuid
from calibr.db import Context, Database, Session
from calibr.events import Event, emit
from calibr.vault import Vault

LIVES: Final = timedelta(minutes=10)
ACTOR: Final = "system:consent"
_STATE: Final = re.compile(r"([0-9a-f]{32})([0-9a-f]{32})\.[A-Za-z0-9_-]{43}\.([0-9a-f]{64})")
_PURPOSE: Final = "consent-state"


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Where the owner has to go, and until when."""

    url: str
    redirect_uri: str
    expires_at: datetime


def request_consent(
    session: Session, connection_id: ConnectionId, redirect_uri: str, *, vault: Vault, connectors: Connectors
) -> ConsentRequest:
    """Begin. Emits `connection.consent_requested`. Raises Invalid where the connection is not authorized by consent."""
    known = get_connection(session, connection_id)
    if known.state == "disabled":
        raise Conflict("connection.disabled", f"The connection {known.name!r} is disabled; enable it first.")
    connector = open_connector(session, connection_id, vault, connectors, any_state=True)
    try:
        state = _new_state(session, connection_id, vault)
        url = _asks(connector).consent_url(redirect_uri, state)
    finally:
        connector.close()
    expires_at = insert_consent(session, connection_id, _hash(state), redirect_uri, LIVES)
    payload = {"redirect_uri": redirect_uri, "expires_at": expires_at.isoformat()}
    emit(session, Event("connection.consent_requested", "connection", str(connection_id), {**payload}))
    return ConsentRequest(url, redirect_uri, expires_at)


def accept_consent(database: Database, query: Mapping[str, str], *, vault: Vault, connectors: Connectors) -> Connection:
    """Finish with what the browser brought. Emits `connection.authorized` on behalf of who began.

    Raises Invalid `connection.return` for what does not hold, Conflict `connection.shop_taken`, and Upstream when the
    store does not give the tokens. The state is used up before the store is asked.
    """
    state = query.get("state", "")
    tenant_id, connection_id = _read_state(state, vault)
    with database.session(Context(tenant_id, ACTOR, new_uuid())) as session:
        consent = find_consent(session, _hash(state))
        if consent is None or consent.connection_id != connection_id:
            raise _bad_state()
        connector = open_connector(session, connection_id, vault, connectors, any_state=True)
    try:
        asked = _asks(connector)
        code = asked.verify_return(query)
        context = Context(tenant_id, consent.requested_by, consent.correlation_id)
        with database.session(context) as session:
            _require_free(session, connection_id, asked.account)
            if not use_consent(session, _hash(state)):
                raise _bad_state()
        issued = asked.redeem(code)
        return _keep(database, context, consent, vault, asked.account, issued)
    finally:
        connector.close()


def _keep(
    database: Database, context: Context, consent: Consent, vault: Vault, account: str, issued: Issued
) -> Connection:
    connection_id = consent.connection_id
    with database.session(context) as session:
        grant = lock_grant(session, connection_id)
        _require_free(session, connection_id, account)
        keep_issued(session, connection_id, vault, replace(grant, account=account), issued)
        take_step(session, connection_id, AUTHORIZE, {"scopes": [*issued.scopes]})
        return get_connection(session, connection_id)


def _require_free(session: Session, connection_id: ConnectionId, account: str) -> None:
    """Nobody else holds the account, or one that is of no use and gives it up: its pair ends in any case."""
    holder = lock_account(session, account)
    if holder is None or holder == connection_id:
        return
    if is_usable(get_connection(session, holder)):
        text = f"Connection {holder} holds the tokens of the same app in the same store; each would end the other's."
        raise Conflict("connection.shop_taken", text)
    update_grant(session, holder, {"account": None})


def _asks(connector: Connector) -> AsksForConsent:
    if not isinstance(connector, AsksForConsent):
        rule = f"is {connector.kind}, which asks nobody for consent"
        raise Invalid("connection.no_consent", f"kind: {rule}.", faults=(Fault("$.kind", connector.kind, rule),))
    return connector


def _new_state(session: Session, connection_id: ConnectionId, vault: Vault) -> str:
    text = f"{session.tenant_id.hex}{connection_id.hex}.{secrets.token_urlsafe(32)}"
    return f"{text}.{vault.sign(_PURPOSE, text)}"


def _read_state(state: str, vault: Vault) -> tuple[TenantId, ConnectionId]:
    found = _STATE.fullmatch(state)
    text = state.rpartition(".")[0]
    if found is None or not hmac.compare_digest(vault.sign(_PURPOSE, text), found[3]):
        raise _bad_state()
    return TenantId(UUID(found[1])), ConnectionId(UUID(found[2]))


def _bad_state() -> Invalid:
    rule = "must be of a consent that was asked for in the last ten minutes and is used for the first time"
    return Invalid("connection.return", f"state {rule}.", faults=(Fault("query.state", None, rule),))


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
