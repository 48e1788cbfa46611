"""The life of a sync run: taken under a lease and a fence, renewed, ended once, with its findings. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, insert, literal_column, or_, select, text, update

from calibr.catalog.model import PriceList
from calibr.catalog.tables import connection, price_list, sync_run
from calibr.connectors.port import BasePriceList, CatalogFinding
from calibr.core.errors import NotFound
from calibr.core.ids import ConnectionId, SyncId
from calibr.core.text import normalize
from calibr.db import Session

_CLOCK: ColumnElement[Any] = func.clock_timestamp()
_IS_DUE = or_(sync_run.c.state == "queued", (sync_run.c.state == "running") & (sync_run.c.lease_until < _CLOCK))
_INSERT_FINDINGS = text("""
  insert into calibr.sync_finding(tenant_id, sync_id, ordinal, external_id, field, value, rule)
  select :tenant_id, :sync_id, f.ordinal, f.external_id, f.field, f.value, f.rule
  from unnest(cast(:external_ids as text[]), cast(:fields as text[]), cast(:values as text[]), cast(:rules as text[]))
       with ordinality f(external_id, field, value, rule, ordinal)""")


def claim_sync(session: Session, sync_id: SyncId, lease_s: int) -> int | None:
    """Take a waiting run for `lease_s` seconds and return its fence; None if it does not wait (any more)."""
    taken = {"state": "running", "stage": "starting", "rows_read": 0, "rows_total": None}
    statement = (
        update(sync_run)
        .where(sync_run.c.id == sync_id, _IS_DUE)
        .values(fence=sync_run.c.fence + 1, lease_until=_lease(lease_s), **taken)
        .returning(sync_run.c.fence)
    )
    return session.execute(statement).scalar_one_or_none()


def renew_sync(session: Session, sync_id: SyncId, fence: int, lease_s: int, progress: Mapping[str, Any]) -> bool:
    """Extend the lease and note the progress; False if another worker has taken over or the run has ended."""
    return _update_held(session, sync_id, fence, {"lease_until": _lease(lease_s), **progress})


def end_sync(session: Session, sync_id: SyncId, fence: int, values: Mapping[str, Any]) -> bool:
    """End a run; False if another worker has taken over."""
    ended = {"stage": values["state"], "lease_until": None, "finished_at": _CLOCK}
    return _update_held(session, sync_id, fence, {**ended, **values})


def insert_findings(session: Session, sync_id: SyncId, findings: Sequence[CatalogFinding]) -> None:
    """Insert the findings of a run, numbered from 1."""
    parameters = {
        "tenant_id": session.tenant_id,
        "sync_id": sync_id,
        "external_ids": [finding.external_id for finding in findings],
        "fields": [finding.field for finding in findings],
        "values": [finding.value for finding in findings],
        "rules": [finding.rule for finding in findings],
    }
    session.execute(_INSERT_FINDINGS, parameters)


def lock_catalog(session: Session, connection_id: ConnectionId) -> RowMapping:
    """Be the only one who writes the catalog of a connection until the end of the transaction. The row stays free.

    Returns the `unidata_version`, `name` and `name_norm` of the connection. Raises NotFound.
    """
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"catalog {connection_id}"}
    )
    columns = (connection.c.unidata_version, connection.c.name, connection.c.name_norm)
    row = session.execute(select(*columns).where(connection.c.id == connection_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("connection.not_found", f"There is no connection {connection_id}.")
    return row


def ensure_base_price_list(session: Session, connection_id: ConnectionId, base: BasePriceList) -> PriceList:
    """Return the base price list of a connection, made on first use. Its currency stays what it was then."""
    columns = tuple(price_list.c[field.name] for field in fields(PriceList))
    query = select(*columns).where(price_list.c.connection_id == connection_id, price_list.c.is_base)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        named = {"name": base.name, "name_norm": normalize(base.name) or base.name, "currency": base.currency}
        made = insert(price_list).values(
            tenant_id=session.tenant_id, connection_id=connection_id, is_base=True, **named
        )
        row = session.execute(made.returning(*columns)).mappings().one()
    return PriceList(**row)


def update_connection(session: Session, connection_id: ConnectionId, values: Mapping[str, Any]) -> None:
    """Set columns of a connection other than its state; the first time that it was synced stays."""
    kept = {"first_synced_at": func.coalesce(connection.c.first_synced_at, values.get("last_synced_at"))}
    session.execute(update(connection).where(connection.c.id == connection_id).values({**values, **kept}))


def _update_held(session: Session, sync_id: SyncId, fence: int, values: Mapping[str, Any]) -> bool:
    held = (sync_run.c.id == sync_id, sync_run.c.fence == fence, sync_run.c.state == "running")
    return session.execute(update(sync_run).where(*held).values(values)).rowcount == 1


def _lease(lease_s: int) -> ColumnElement[Any]:
    return _CLOCK + literal_column(f"interval '{lease_s:d} seconds'")
