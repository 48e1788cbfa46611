"""Commands on connections: make one, open its connector, check it, ask for a sync."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from calibr.catalog import repository
from calibr.catalog.model import Connection, SyncMode, SyncRun
from calibr.catalog.reads import get_connection
from calibr.catalog.repository_readings import find_watermark
from calibr.connectors.port import Connector, ConnectorFactory, Health
from calibr.core.errors import Conflict, Fault, Invalid
from calibr.core.ids import ConnectionId, new_uuid
from calibr.core.text import TextRefused, normalize
from calibr.db import Session
from calibr.events import Event, emit
from calibr.vault import SecretPlace, Vault

Connectors = Mapping[str, ConnectorFactory]
"""What makes a connector, by kind."""


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What makes a connection. `secrets` never leave the vault again, except to open the connector."""

    kind: str
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str]


def create_connection(session: Session, new: NewConnection, *, vault: Vault, connectors: Connectors) -> Connection:
    """Make a connection. Emits `connection.created`; does not call the store.

    Raises Invalid for an unknown kind or a bad configuration, and Conflict `connection.name_taken`.
    """
    name_norm = _name_norm(new.name)
    _factory(connectors, new.kind)(dict(new.config), dict(new.secrets)).close()
    connection_id = ConnectionId(new_uuid())
    values = {"id": connection_id, "kind": new.kind, "name": new.name.strip(), "name_norm": name_norm}
    made = repository.insert_connection(session, {**values, "config": dict(new.config)})
    if made is None:
        raise Conflict("connection.name_taken", f"There is already a connection named {new.name.strip()!r}.")
    places = {field: SecretPlace(session.tenant_id, connection_id, field) for field in new.secrets}
    sealed = {field: vault.seal(places[field], value) for field, value in new.secrets.items()}
    repository.insert_secrets(session, connection_id, sealed)
    payload: dict[str, Any] = {"kind": made.kind, "name": made.name, "config": dict(made.config)}
    emit(session, Event("connection.created", "connection", str(connection_id), payload))
    return made


def open_connector(session: Session, connection_id: ConnectionId, vault: Vault, connectors: Connectors) -> Connector:
    """The connector of a connection, with its secrets; the caller closes it."""
    found = get_connection(session, connection_id)
    sealed = repository.load_secrets(session, connection_id)
    secrets = {
        field: vault.open(SecretPlace(session.tenant_id, connection_id, field), value).reveal()
        for field, value in sealed.items()
    }
    return _factory(connectors, found.kind)(dict(found.config), secrets)


def record_health(session: Session, connection_id: ConnectionId, health: Health) -> Connection:
    """Keep what a check said; a store with problems makes the connection `failing`, a good answer `active` again."""
    known = asdict(health)
    known["checked_at"] = (health.checked_at or session.now).isoformat()
    known["scopes"], known["problems"] = list(health.scopes), list(health.problems)
    repository.update_health(session, connection_id, known, "active" if health.ok else "failing")
    return get_connection(session, connection_id)


def request_sync(
    session: Session, connection_id: ConnectionId, *, force: bool = False, mode: SyncMode = SyncMode.AUTO
) -> SyncRun:
    """Ask for a sync. Emits `sync.requested`; raises Conflict `sync.already_running` or `connection.disabled`.

    `force` lets it make all listings vanish, which is otherwise taken for a mistake of the store; that needs a full
    sync, so that Invalid `sync.mode` meets it with an incremental one. Conflict `sync.no_full_sync`: there is nothing
    yet that changes could be added to.
    """
    known = get_connection(session, connection_id)
    if known.state == "disabled":
        raise Conflict("connection.disabled", f"The connection {known.name!r} is disabled.")
    if mode is SyncMode.INCREMENTAL:
        _require_incremental(session, known, force=force)
    wanted = SyncMode.FULL if force else mode
    asked = repository.insert_sync(session, connection_id, forced=force, mode=wanted)
    if asked is None:
        raise Conflict("sync.already_running", f"A sync of {known.name!r} has not ended yet.")
    payload: dict[str, Any] = {"connection_id": str(connection_id), "forced": force, "mode": wanted.value}
    emit(session, Event("sync.requested", "sync", str(asked.id), payload, schema_version="1.1.0"))
    return asked


def _require_incremental(session: Session, known: Connection, *, force: bool) -> None:
    if force:
        rule = "must be full or auto with force: what has vanished is only seen by reading everything"
        raise Invalid("sync.mode", f"mode: 'incremental' {rule}.", faults=(Fault("$.mode", "incremental", rule),))
    if find_watermark(session, known.id) is None:
        raise Conflict(
            "sync.no_full_sync", f"{known.name!r} was never read as a whole; an incremental sync can follow a full one."
        )


def _factory(connectors: Connectors, kind: str) -> ConnectorFactory:
    if kind not in connectors:
        rule = f"is not a kind of connector ({', '.join(sorted(connectors))})"
        raise Invalid("connection.kind", f"kind: {kind!r} {rule}.", faults=(Fault("$.kind", kind, rule),))
    return connectors[kind]


def _name_norm(name: str) -> str:
    try:
        norm = normalize(name)
    except TextRefused as error:
        raise _bad_name(name, str(error)) from error
    if norm is None:
        raise _bad_name(name, "is empty")
    return norm


def _bad_name(name: str, rule: str) -> Invalid:
    return Invalid("connection.name", f"name: {name!r}: {rule}.", faults=(Fault("$.name", name, rule),))
