"""The catalogue test: every table is walled in, and every kind of hole is found when it is planted."""

from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from calibr.db.walls import findings


def test_the_walls_stand(superuser: psycopg.Connection) -> None:
    assert findings(superuser) == []


def test_dropping_any_policy_is_found(superuser: psycopg.Connection) -> None:
    policies = superuser.execute("select polname, polrelid::regclass::text from pg_policy").fetchall()
    tables = superuser.execute("select count(*) from pg_class where relforcerowsecurity").fetchone()

    unnoticed = [
        (policy, table) for policy, table in policies if not _planted(superuser, f"drop policy {policy} on {table}")
    ]

    assert tables is not None
    assert len(policies) == 2 * tables[0] > 20
    assert unnoticed == []


OWNED = "; alter table calibr.t owner to calibr_owner; "
NEW_TABLE = "create table calibr.t(tenant_id uuid, p uuid, primary key (tenant_id, p))"
WALLED = "call sec.wall('calibr.t'); "
OWN_POLICY = "using (tenant_id = (select sec.tenant())) with check (tenant_id = (select sec.tenant()))"
HOLES = {
    "row-level security switched off": "alter table calibr.product disable row level security",
    "not forced": "alter table calibr.product no force row level security",
    "a policy that lets everything through": "alter policy tenant_wall on calibr.product using (true)",
    "a policy without a check": "alter policy tenant_rw on calibr.product with check (true)",
    "a policy for others": "alter policy tenant_rw on calibr.product to public",
    "a third policy": "create policy more on calibr.product for select to calibr_app using (true)",
    "a permissive wall": "drop policy tenant_wall on calibr.product;"
    f" create policy tenant_wall on calibr.product {OWN_POLICY}",
    "a policy on a table without a wall": "create policy p on calibr.tenant_directory using (true)",
    "a table without a wall": NEW_TABLE + OWNED,
    "a partition without a wall": NEW_TABLE
    + " partition by list(p)"
    + OWNED
    + WALLED
    + f"create table calibr.t1 partition of calibr.t for values in ('{UUID(int=1)}');"
    " alter table calibr.t1 owner to calibr_owner",
    "a table without tenant_id": "create table calibr.t(id uuid primary key)" + OWNED,
    "a nullable tenant_id": "alter table calibr.sync_finding drop constraint sync_finding_pkey;"
    " alter table calibr.sync_finding alter tenant_id drop not null",
    "an index that does not start with the tenant": "create index on calibr.product(sku)",
    "a unique id": "create unique index on calibr.product(id)",
    "a foreign key on the id alone": NEW_TABLE + OWNED + WALLED + "alter table calibr.product add unique (id);"
    " alter table calibr.t add foreign key (p) references calibr.product(id)",
    "another owner": "alter table calibr.product owner to postgres",
    "a grant of truncate": "grant truncate on calibr.product to calibr_app",
    "a grant of references": "grant references on calibr.product to calibr_app",
    "a grant of trigger": "grant trigger on calibr.product to calibr_worker",
    "a grant of maintain to requests": "grant maintain on calibr.product to calibr_app",
    "a grant to everybody": "grant select on calibr.product to public",
    "a grant of one column to everybody": "grant select(title) on calibr.product to public",
    "a grant that may be passed on": "grant select on calibr.product to calibr_app with grant option",
    "a grant to rewrite the log": "grant update(body) on calibr.event to calibr_app",
    "a grant to read the key": "grant select on sec.key to calibr_worker",
    "a view as its owner": "create view calibr.v with (security_barrier = true) as select * from calibr.product;"
    " alter view calibr.v owner to calibr_owner",
    "a view without a barrier": "alter view calibr.audit reset (security_barrier)",
    "a materialized view": "create materialized view calibr.m as select * from calibr.product;"
    " alter materialized view calibr.m owner to calibr_owner",
    "a sequence": "create sequence calibr.s; alter sequence calibr.s owner to calibr_owner",
    "a rule": "create rule r as on update to calibr.product do instead nothing",
    "a trigger switched off": "alter table calibr.event disable trigger event_append_only",
    "a leakproof function": "alter function sec.binding() leakproof",
    "a function as its owner": "alter function sec.binding() security definer",
    "a function without a search path": "alter function sec.tenant() reset search_path",
    "a function that looks into pg_temp first": "alter function sec.tenant() set search_path = pg_catalog",
    "a function that folds": "alter function sec.tenant() immutable",
    "a function for everybody": "grant execute on function sec.tenant() to public",
    "the mac for requests": "grant execute on function sec.mac(text) to calibr_app",
    "a new function": "create function calibr.f() returns int language sql set search_path = pg_catalog, pg_temp"
    " return 1; alter function calibr.f() owner to calibr_owner",
    "a numeric column": "alter table calibr.product add price numeric",
    "an enumeration": "create type calibr.e as enum ('a'); alter table calibr.product add e calibr.e",
    "an index on a list": "create index on calibr.product(tenant_id, tags)",
    "a role that bypasses": "alter role calibr_app bypassrls",
    "a role that is super": "alter role calibr_worker superuser",
    "a role that makes roles": "alter role calibr_worker createrole",
    "an owner that bypasses": "alter role calibr_owner bypassrls",
    "a way to the owner": "grant calibr_owner to calibr_app",
    "a way to a superuser": "grant postgres to calibr_app",
    "leave to create objects": "grant create on schema calibr to calibr_app",
    "leave to create in public": "grant create on schema public to calibr_app",
    "a schema for everybody": "grant usage on schema sec to public",
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_found(superuser: psycopg.Connection, hole: str) -> None:
    assert _planted(superuser, HOLES[hole]) != []


def _planted(superuser: psycopg.Connection, statements: str) -> list[str]:
    """Return what is found while a hole is there."""
    with superuser.transaction(force_rollback=True):
        superuser.execute(sql.SQL(statements))
        return findings(superuser)
