"""Commands on connections: make one, open its connector, check it, ask for a sync."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from calibr.catalog import repository
from calibr.catalog.budgets import Budgets
from calibr.catalog.connection_states import DISABLE, ENABLE, FAIL, PROVE, UNINSTALL, ConnectionState
from calibr.catalog.connection_steps import require_open, require_usable, take_step
from calibr.catalog.grants import ISSUED, GrantKeeper
from calibr.catalog.model import Connection, SyncMode, SyncRun
from calibr.catalog.reads import get_connection
from calibr.catalog.repository_grants import end_issued, find_secrets_revision, lock_grant, upsert_secrets
from calibr.catalog.repository_readings import find_watermark
from calibr.connectors.port import Connector, ConnectorFactory, Health
from calibr.connectors.port.budget import SharesBudget
from calibr.connectors.port.credentials import AsksForConsent, KeepsCredentials
from calibr.core.errors import Conflict, Fault, Invalid
from calibr.core.ids import ConnectionId, new_uuid
from calibr.core.text import TextRefused, normalize
from calibr.db import Session
from calibr.events import Event, emit
from calibr.monitor import scrub
from calibr.vault import SecretPlace, Vault

Connectors = Mapping[str, ConnectorFactory]
"""What makes a connector, by kind."""


SIGNING = "client_secret"
"""The secret of an app, which signs the webhooks of its stores."""


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What makes a connection. `secrets` never leave the vault again, except to open the connector."""

    kind: str
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str]


def create_connection(session: Session, new: NewConnection, *, vault: Vault, connectors: Connectors) -> Connection:
    """Make a connection. Emits `connection.created`; does not call the store.

    It is `pending` where the owner of the store still has to agree (`consent.request_consent`). Raises Invalid for an
    unknown kind or a bad configuration, and Conflict `connection.name_taken`.
    """
    name_norm = _name_norm(new.name)
    state = _first_state(_factory(connectors, new.kind)(dict(new.config), dict(new.secrets)))
    connection_id = ConnectionId(new_uuid())
    values = {"id": connection_id, "kind": new.kind, "name": new.name.strip(), "name_norm": name_norm, "state": state}
    made = repository.insert_connection(session, {**values, "config": dict(new.config)})
    if made is None:
        raise Conflict("connection.name_taken", f"There is already a connection named {new.name.strip()!r}.")
    repository.insert_secrets(session, connection_id, _sealed(session, connection_id, new.secrets, vault))
    payload: dict[str, Any] = {"kind": made.kind, "name": made.name, "config": dict(made.config)}
    emit(session, Event("connection.created", "connection", str(connection_id), payload))
    return made


def replace_secrets(
    session: Session, connection_id: ConnectionId, secrets: Mapping[str, str], *, vault: Vault, connectors: Connectors
) -> Connection:
    """Give a connection another credential. Emits `connection.secrets_replaced`; a check proves whether it is good.

    What an app signed with is kept beside its successor for some hours, since webhooks signed with it still arrive.
    Raises Invalid as `create_connection` does. A token that the store issued for the old secret is not used any more.
    """
    found = get_connection(session, connection_id)
    _factory(connectors, found.kind)(dict(found.config), dict(secrets)).close()
    lock_grant(session, connection_id)
    end_issued(session, connection_id)
    kept = {**_replaced(connection_secrets(session, connection_id, vault), secrets), **secrets}
    upsert_secrets(session, connection_id, _sealed(session, connection_id, kept, vault))
    fields: dict[str, Any] = {"fields": sorted(secrets)}
    emit(session, Event("connection.secrets_replaced", "connection", str(connection_id), fields))
    return found


def open_connector(
    session: Session,
    connection_id: ConnectionId,
    vault: Vault,
    connectors: Connectors,
    *,
    any_state: bool = False,
) -> Connector:
    """The connector of a connection, with its secrets; the caller closes it, and may use it after this transaction.

    Raises Upstream `connection.<state>` when nothing may be done at the store now, unless `any_state`, which is for
    finding out whether that has changed.
    """
    found = get_connection(session, connection_id)
    if not any_state:
        require_open(found)
    secrets = connection_secrets(session, connection_id, vault)
    connector = _factory(connectors, found.kind)(dict(found.config), secrets)
    if isinstance(connector, KeepsCredentials):
        revision = find_secrets_revision(session, connection_id)
        connector.use_keeper(GrantKeeper(session.again, connection_id, vault, revision, any_state))
    if isinstance(connector, SharesBudget):
        connector.use_budget(Budgets(session.again))
    return connector


def connection_secrets(session: Session, connection_id: ConnectionId, vault: Vault) -> dict[str, str]:
    """What a person gave as secrets of a connection, by field: for what opens its store, or judges what that sends."""
    return {
        field: vault.open(SecretPlace(session.tenant_id, connection_id, field), value).reveal()
        for field, value in repository.load_secrets(session, connection_id).items()
        if not field.startswith(ISSUED)
    }


def record_health(session: Session, connection_id: ConnectionId, health: Health) -> Connection:
    """Keep what a check said; a store with problems makes the connection `failing`, a good answer `active` again."""
    known = get_connection(session, connection_id)
    repository.update_health(session, connection_id, _health_document(session, known, health))
    if health.ok:
        take_step(session, connection_id, PROVE)
    else:
        message = scrub("; ".join(health.problems)) or "The store was not reached."
        take_step(session, connection_id, FAIL, {"code": "connection.unhealthy", "message": message})
    return get_connection(session, connection_id)


def mark_uninstalled(session: Session, connection_id: ConnectionId) -> bool:
    """The owner removed the app: nothing is tried at the store any more. False if that is known. Repeatable."""
    return take_step(session, connection_id, UNINSTALL)


def disable_connection(session: Session, connection_id: ConnectionId) -> Connection:
    """Read and write nothing through it any more. Raises Conflict `connection.disabled`."""
    if not take_step(session, connection_id, DISABLE):
        raise Conflict("connection.disabled", f"The connection {connection_id} is disabled already.")
    return get_connection(session, connection_id)


def enable_connection(session: Session, connection_id: ConnectionId) -> Connection:
    """Use it again. Raises Conflict `connection.not_disabled`."""
    if not take_step(session, connection_id, ENABLE):
        raise Conflict("connection.not_disabled", f"The connection {connection_id} is not disabled.")
    return get_connection(session, connection_id)


def record_scopes(session: Session, connection_id: ConnectionId, health: Health) -> None:
    """The store says that our scopes changed: keep what a check then found. Emits `connection.scopes_changed`."""
    record_health(session, connection_id, health)
    payload: dict[str, Any] = {"scopes": sorted(health.scopes), "problems": list(health.problems)}
    emit(session, Event("connection.scopes_changed", "connection", str(connection_id), payload))


def erase_connection(session: Session, connection_id: ConnectionId) -> None:
    """Forget what a store told: secrets, configuration, and the texts of products that are listed nowhere else.

    Amounts and ids stay: sealed plans and the event log refer to them. Not to be undone.
    """
    repository.erase(session, connection_id)


def request_sync(
    session: Session, connection_id: ConnectionId, *, force: bool = False, mode: SyncMode = SyncMode.AUTO
) -> SyncRun:
    """Ask for a sync. Emits `sync.requested`; raises Conflict `sync.already_running` or `connection.<state>`.

    `force` lets it make all listings vanish, which is otherwise taken for a mistake of the store; that needs a full
    sync, so that Invalid `sync.mode` meets it with an incremental one. Conflict `sync.no_full_sync`: there is nothing
    yet that changes could be added to.
    """
    known = get_connection(session, connection_id)
    require_usable(known)
    if mode is SyncMode.INCREMENTAL:
        _require_incremental(session, known, force=force)
    wanted = SyncMode.FULL if force else mode
    asked = repository.insert_sync(session, connection_id, forced=force, mode=wanted)
    if asked is None:
        raise Conflict("sync.already_running", f"A sync of {known.name!r} has not ended yet.")
    payload: dict[str, Any] = {"connection_id": str(connection_id), "forced": force, "mode": wanted.value}
    emit(session, Event("sync.requested", "sync", str(asked.id), payload, schema_version="1.1.0"))
    return asked


def _replaced(known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The secret that signed until now, if another one takes its place."""
    old, new = known.get(SIGNING), given.get(SIGNING)
    return {f"{repository.REPLACED}{SIGNING}": old} if old is not None and new not in {None, old} else {}


def _require_incremental(session: Session, known: Connection, *, force: bool) -> None:
    if force:
        rule = "must be full or auto with force: what has vanished is only seen by reading everything"
        raise Invalid("sync.mode", f"mode: 'incremental' {rule}.", faults=(Fault("$.mode", "incremental", rule),))
    if find_watermark(session, known.id) is None:
        raise Conflict(
            "sync.no_full_sync", f"{known.name!r} was never read as a whole; an incremental sync can follow a full one."
        )


def _first_state(connector: Connector) -> ConnectionState:
    try:
        waits = isinstance(connector, AsksForConsent) and connector.needs_consent
        return ConnectionState.PENDING if waits else ConnectionState.ACTIVE
    finally:
        connector.close()


def _sealed(session: Session, connection_id: ConnectionId, secrets: Mapping[str, str], vault: Vault) -> dict[str, str]:
    places = {field: SecretPlace(session.tenant_id, connection_id, field) for field in secrets}
    return {field: vault.seal(places[field], value) for field, value in secrets.items()}


def _health_document(session: Session, known: Connection, health: Health) -> dict[str, Any]:
    document = asdict(health)
    for name in ("checked_at", "token_expires_at"):
        moment = document[name]
        document[name] = None if moment is None else moment.isoformat()
    document["checked_at"] = document["checked_at"] or session.now.isoformat()
    document["last_synced_at"] = None if known.last_synced_at is None else known.last_synced_at.isoformat()
    return document


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
