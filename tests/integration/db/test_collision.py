"""Two tenants with identical ids in every table: whatever one writes, the other's rows stay as they are.

One uses the grants that it really has, with all triggers on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from calibr.core.ids import new_uuid
from calibr.db import Context, Database, Role

if TYPE_CHECKING:
    from conftest import Twins


@pytest.mark.parametrize("role", list(Role))
def test_no_write_of_one_tenant_touches_the_other(twins: Twins, master_key: bytes, role: Role) -> None:
    database = Database.connect(twins.admin, master_key, pool_size=1)
    context = Context(twins.one, "system:test", new_uuid())
    before = _fingerprints(twins, twins.other)
    done = []

    for verb, table, statement in _writes(twins, role):
        try:
            with database.session(context, role=role) as session:
                affected = session.raw.execute(statement).rowcount
        except psycopg.Error as error:
            pytest.fail(f"{verb} {table}: {error}")
        done.append((verb, table, affected))
        assert _fingerprints(twins, twins.other) == before, (verb, table)
    database.close()

    assert len(before) > 10
    assert all(affected == 1 for _, _, affected in done), done
    assert {verb for verb, _, _ in done} == {"update", "delete"}


def test_inserting_with_the_id_of_another_tenant_tells_nothing(twins: Twins, master_key: bytes) -> None:
    """A row that exists at the other tenant and one that does not are refused alike."""
    database = Database.connect(twins.admin, master_key, pool_size=1)
    context = Context(twins.one, "system:test", new_uuid())

    answers = [_refusal(database, context, twins, tenant_id) for tenant_id in (twins.other, new_uuid())]
    database.close()

    assert answers[0] == answers[1]


def _refusal(database: Database, context: Context, twins: Twins, tenant_id: UUID) -> list[str | None]:
    said: list[str | None] = []
    for table in twins.tables.columns:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught, database.session(context) as session:
            session.raw.execute(*twins.tables.insert(table, tenant_id))
        said.append(caught.value.diag.message_primary)
    return said


def _writes(twins: Twins, role: Role) -> list[tuple[str, str, sql.Composed]]:
    """Return each update and delete that the role's grants allow, over all rows that it can reach."""
    tables = list(twins.tables.columns)
    with psycopg.connect(twins.admin.conninfo()) as superuser:
        updatable = {
            table: [
                column.name
                for column in twins.tables.columns[table]
                if not column.generated
                and column.name != "tenant_id"
                and _may(superuser, "has_column_privilege", (role, f"calibr.{table}", column.name, "update"))
            ]
            for table in tables
        }
        deletable = [
            table for table in tables if _may(superuser, "has_table_privilege", (role, f"calibr.{table}", "delete"))
        ]
    update, delete = sql.SQL("update {} set {}"), sql.SQL("delete from {}")
    updates = [
        ("update", table, update.format(sql.Identifier("calibr", table), sql.SQL(", ").join(map(_to_itself, names))))
        for table, names in updatable.items()
        if names
    ]
    deletes = [("delete", table, delete.format(sql.Identifier("calibr", table))) for table in reversed(deletable)]
    return updates + deletes


def _may(superuser: psycopg.Connection, function: str, arguments: tuple[str, ...]) -> bool:
    call = sql.SQL("select {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join(sql.Placeholder() * len(arguments))
    )
    row = superuser.execute(call, arguments).fetchone()
    return row == (True,)


def _to_itself(column: str) -> sql.Composed:
    return sql.SQL("{0} = {0}").format(sql.Identifier(column))


def _fingerprints(twins: Twins, tenant_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a tenant, with the version and the place of each: a write that changes nothing shows too."""
    query = sql.SQL("select xmin, ctid, t::text from {} t where tenant_id = %s order by ctid")
    with psycopg.connect(twins.admin.conninfo()) as superuser:
        return {
            table: superuser.execute(query.format(sql.Identifier("calibr", table)), [tenant_id]).fetchall()
            for table in twins.tables.columns
        }
