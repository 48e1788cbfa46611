"""The typed tables of all features against the migrated database, and plans that the walls must not spoil."""

import importlib
import pkgutil
from typing import Any

import psycopg
from sqlalchemy import Table, create_engine, inspect, text
from sqlalchemy.dialects import postgresql

import calibr
from calibr.core.ids import TenantId, new_uuid
from calibr.db import Context, Database, ServerUrl
from calibr.db.metadata import SCHEMA, metadata


def test_the_typed_tables_are_those_of_the_database(admin_url: ServerUrl) -> None:
    for module in pkgutil.walk_packages(calibr.__path__, "calibr."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(admin_url.conninfo()))
    with engine.connect() as connection:
        inspector = inspect(connection)
        real = {name: inspector.get_columns(name, schema=SCHEMA) for name in inspector.get_table_names(schema=SCHEMA)}
    engine.dispose()

    typed = {table.name: table for table in metadata.tables.values()}
    different = {
        name: (_declared(table), _described(real.get(name, [])))
        for name, table in typed.items()
        if _declared(table) != _described(real.get(name, []))
    }

    assert real.keys() - typed.keys() == {"tenant_directory", "alembic_version"}
    assert different == {}


def _declared(table: Table) -> dict[str, tuple[str, bool]]:
    dialect = postgresql.dialect()
    return {column.name: (str(column.type.compile(dialect)), bool(column.nullable)) for column in table.columns}


def _described(columns: list[Any]) -> dict[str, tuple[str, bool]]:
    dialect = postgresql.dialect()
    return {column["name"]: (str(column["type"].compile(dialect)), bool(column["nullable"])) for column in columns}


def test_the_walls_are_asked_once_per_statement_and_leave_plans_parallel(
    database: Database, admin_url: ServerUrl
) -> None:
    context = Context(TenantId(new_uuid()), "system:test", new_uuid())
    _fill(database, context)
    with psycopg.connect(admin_url.conninfo(), autocommit=True) as superuser:
        superuser.execute("analyze calibr.product")

    with database.session(context) as session:
        for setting in ("min_parallel_table_scan_size", "min_parallel_index_scan_size", "parallel_setup_cost"):
            session.execute(text(f"set local {setting} = 0"))
        session.execute(text("set local max_parallel_workers_per_gather = 2"))
        explain = "explain (analyze, costs off, timing off) select count(*), max(title) from calibr.product"
        lines = list(session.execute(text(explain)).scalars())

    asked = [lines[number + 1].strip() for number, line in enumerate(lines) if "InitPlan" in line and "(" not in line]
    assert any("Gather" in line for line in lines)
    assert asked == ["->  Result (actual rows=1.00 loops=1)"]


def _fill(database: Database, context: Context) -> None:
    tenant = {"id": context.tenant_id}
    products = "insert into calibr.product(tenant_id, title) select :id, 'P' || n from generate_series(1, 50000) n"
    with database.session(context) as session:
        session.execute(text("insert into calibr.tenant(tenant_id, name) values (:id, 'Big')"), tenant)
        session.execute(text(products), tenant)
