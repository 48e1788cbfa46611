"""Each table x each verb x each kind of context: a context reaches rows only when signed, present and in its place.

All grants are given and all triggers are off here, so that nothing but the policies stands between the tenants.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from calibr.core.ids import TenantId
from calibr.db.context import signed
from calibr.db.keys import Keys

if TYPE_CHECKING:
    from conftest import Twins

PLANTED_TYPE = """
  create function pg_temp.spy(value pg_catalog.{name}) returns pg_catalog.bool language plpgsql as
    'begin raise notice ''%'', current_user; return true; end';
  create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.spy(value));
  discard plans
"""
VERBS = ("select", "insert", "update", "delete", "move")


def test_the_own_context_reaches_the_own_rows(twins: Twins, master_key: bytes) -> None:
    with _as_app(twins) as connection:
        _enter(connection, _context(connection, twins.one, master_key))
        outcome = _matrix(connection, twins, rows_of=twins.one, to=twins.other)

    assert _unlike(outcome, {"select": 1, "insert": 1, "update": 1, "delete": 1, "move": "refused"}) == []


def test_the_own_context_does_not_reach_the_rows_of_another(twins: Twins, master_key: bytes) -> None:
    with _as_app(twins) as connection:
        _enter(connection, _context(connection, twins.one, master_key))
        outcome = _matrix(connection, twins, rows_of=twins.other, to=twins.one)

    assert _unlike(outcome, {"select": 0, "insert": "refused", "update": 0, "delete": 0, "move": 0}) == []


def test_the_matrix_sees_a_hole(twins: Twins, master_key: bytes) -> None:
    with psycopg.connect(twins.admin.conninfo()) as connection:
        for policy in ("tenant_wall", "tenant_rw"):
            connection.execute(f"alter policy {policy} on calibr.product using (true) with check (true)")
        _become_app(connection)
        _enter(connection, _context(connection, twins.one, master_key))
        outcome = _matrix(connection, twins, rows_of=twins.other, to=twins.one)
        connection.rollback()

    assert {cell: found for cell, found in outcome.items() if cell[0] == "product"} == {
        ("product", "select"): 1,
        ("product", "insert"): 1,
        ("product", "update"): 1,
        ("product", "delete"): 1,
        ("product", "move"): "taken",
    }


def test_without_a_context_everything_is_refused(twins: Twins) -> None:
    with _as_app(twins) as connection:
        outcome = _matrix(connection, twins, rows_of=twins.one, to=twins.other)

    assert _unlike(outcome, dict.fromkeys(VERBS, "refused")) == []


@pytest.mark.parametrize("forgery", ["no mac", "zeros", "mac of another tenant", "mac of another key", "no tenant"])
def test_a_forged_context_is_refused(twins: Twins, master_key: bytes, forgery: str) -> None:
    with _as_app(twins) as connection:
        real = _context(connection, twins.other, master_key)
        forged = {
            "no mac": f"{twins.one}",
            "zeros": f"{twins.one}.{'0' * 64}",
            "mac of another tenant": f"{twins.one}.{real.split('.')[1]}",
            "mac of another key": _context(connection, twins.one, b"another master key of enough bytes"),
            "no tenant": f".{real.split('.')[1]}",
        }
        _enter(connection, forged[forgery])
        outcome = _matrix(connection, twins, rows_of=twins.one, to=twins.other)

    assert _unlike(outcome, dict.fromkeys(VERBS, "refused")) == []


def test_a_context_is_worth_nothing_on_another_connection(twins: Twins, master_key: bytes) -> None:
    with psycopg.connect(twins.admin.conninfo()) as first, _as_app(twins) as second:
        _enter(second, _context(first, twins.one, master_key))
        outcome = _matrix(second, twins, rows_of=twins.one, to=twins.other)

    assert _unlike(outcome, dict.fromkeys(VERBS, "refused")) == []


def test_a_context_is_worth_nothing_in_the_next_transaction(twins: Twins, master_key: bytes) -> None:
    with psycopg.connect(twins.admin.conninfo()) as connection:
        _become_app(connection)
        old = _context(connection, twins.one, master_key)
        connection.rollback()
        _become_app(connection)
        _enter(connection, old)
        outcome = _matrix(connection, twins, rows_of=twins.one, to=twins.other)
        connection.rollback()

    assert _unlike(outcome, dict.fromkeys(VERBS, "refused")) == []


def test_a_context_does_not_outlive_its_transaction(twins: Twins, master_key: bytes) -> None:
    with psycopg.connect(twins.admin.conninfo()) as connection:
        _enter(connection, _context(connection, twins.one, master_key))
        connection.commit()

        assert connection.execute("select current_setting('calibr.ctx', true)").fetchone() == ("",)


@pytest.mark.parametrize("name", ["uuid", "text"])
def test_a_type_of_the_same_name_does_not_run_as_the_owner(twins: Twins, master_key: bytes, name: str) -> None:
    said: list[str | None] = []
    with _as_app(twins) as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        connection.execute(PLANTED_TYPE.format(name=name).encode())
        _enter(connection, _context(connection, twins.one, master_key))
        connection.execute("select sec.tenant()")

    assert said == []


@contextmanager
def _as_app(twins: Twins) -> Iterator[psycopg.Connection]:
    with psycopg.connect(twins.admin.conninfo()) as connection:
        _become_app(connection)
        yield connection
        connection.rollback()


def _become_app(connection: psycopg.Connection) -> None:
    connection.execute("grant all on all tables in schema calibr to calibr_app")
    connection.execute("set local session_replication_role = replica")
    connection.execute("set local role calibr_app")


def _context(connection: psycopg.Connection, tenant_id: TenantId, master_key: bytes) -> str:
    binding = connection.execute("select sec.binding()").fetchone()
    assert binding is not None
    return signed(tenant_id, binding[0], Keys(master_key).context_key())


def _enter(connection: psycopg.Connection, context: str) -> None:
    connection.execute("select set_config('calibr.ctx', %s, true)", [context])


def _matrix(
    connection: psycopg.Connection, twins: Twins, *, rows_of: UUID, to: UUID
) -> dict[tuple[str, str], int | str]:
    """Return for each table and verb how many rows it reached, or that it was refused."""
    found: dict[tuple[str, str], int | str] = {}
    for table in twins.tables.columns:
        for verb in VERBS:
            with connection.transaction(force_rollback=True):
                try:
                    found[table, verb] = _try(connection, twins, (table, verb), rows_of, to)
                except InsufficientPrivilege:
                    found[table, verb] = "refused"
                except UniqueViolation:
                    found[table, verb] = "taken"
    return found


def _try(connection: psycopg.Connection, twins: Twins, cell: tuple[str, str], rows_of: UUID, to: UUID) -> int:
    table, verb = cell
    name = sql.Identifier("calibr", table)
    if verb == "insert":
        connection.execute(sql.SQL("delete from {} where tenant_id = %s").format(name), [rows_of])
        statement, parameters = twins.tables.insert(table, rows_of)
        return connection.execute(statement, parameters).rowcount
    column = next(each.name for each in reversed(twins.tables.columns[table]) if not each.generated)
    statements = {
        "select": "select from {0} where tenant_id = %(rows_of)s",
        "update": "update {0} set {1} = {1} where tenant_id = %(rows_of)s",
        "delete": "delete from {0} where tenant_id = %(rows_of)s",
        "move": "update {0} set tenant_id = %(to)s where tenant_id = %(rows_of)s",
    }
    statement = sql.SQL(statements[verb]).format(name, sql.Identifier(column))
    return connection.execute(statement, {"rows_of": rows_of, "to": to}).rowcount


def _unlike(outcome: dict[tuple[str, str], int | str], wanted: dict[str, int | str]) -> list[object]:
    assert len(outcome) > 20
    return [(cell, found) for cell, found in outcome.items() if found != wanted[cell[1]]]
