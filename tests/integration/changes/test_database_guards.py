"""The database takes exactly the steps that the state machine knows, whoever writes the UPDATE."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation, Error, InsufficientPrivilege, UniqueViolation
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from calibr.changes import lifecycle
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, ServerUrl

INSERT_CHANGE = """
  insert into calibr.price_change(tenant_id, id, name, selector_json, transform_json, guardrails_json, price_list_ids,
                                  rule_hash, created_by, correlation_id)
  values (%(tenant)s, %(change)s, 'x', '{}', '{}', '[]', '{}', 'h', %(author)s, %(change)s)
"""
PUT_CHANGE = """
  update calibr.price_change set state = %(state)s, plan_root = 'r', editors = array[tenant_id],
    approved_root = case when %(approved)s then 'r' end, approved_by = case when %(approved)s then gen_random_uuid() end
  where tenant_id = %(tenant)s
"""
APPROVE = """
  update calibr.price_change set state = 'approved', approved_root = plan_root, approved_by = {}
  where tenant_id = %(tenant)s
"""
INSERT_ITEM = text("""
  insert into calibr.price_change_item(tenant_id, change_id, price_list_id, product_id, currency, verdict, state, trace)
  values (:tenant, :change, :change, :change, 'USD', 'changed', 'pending', '{}')
""")
DELETE = text("delete from calibr.price_change_item where change_id = :change")
BEFORE_APPROVAL = {ChangeState.DRAFT, ChangeState.PREVIEWING, ChangeState.PREVIEWED, ChangeState.SUBMITTED}
PUT_ITEM = """
  insert into calibr.price_change_item(
    tenant_id, change_id, price_list_id, product_id, currency, verdict, state, trace, fence)
  values (%(tenant)s, %(change)s, %(product)s, %(product)s, 'USD',
          case when %(state)s = 'skipped' then 'blocked' else 'changed' end, %(state)s, '{}', %(fence)s)
"""


@dataclass(frozen=True)
class Planted:
    """A change of a tenant, and a superuser's connection that can put it into any state with all guards off."""

    admin: psycopg.Connection
    context: Context
    change: UUID
    product: UUID

    def put(self, statement: str, state: str) -> None:
        names: dict[str, object] = {
            "tenant": self.context.tenant_id,
            "change": self.change,
            "product": self.product,
            "state": state,
        }
        names["fence"] = 1
        names["approved"] = state not in BEFORE_APPROVAL
        self.admin.execute("set session_replication_role = replica")
        self.admin.execute(statement, names)
        self.admin.execute("set session_replication_role = origin")

    def takes(self, statement: str) -> bool:
        """Whether the database takes the statement; undone in any case."""
        try:
            with self.admin.transaction(force_rollback=True):
                self.admin.execute(statement, {"tenant": self.context.tenant_id})
        except CheckViolation:
            return False
        return True


@pytest.fixture
def planted(admin_url: ServerUrl, tenant: Context) -> Iterator[Planted]:
    found = Planted(psycopg.connect(admin_url.conninfo(), autocommit=True), tenant, new_uuid(), new_uuid())
    with found.admin as admin:
        author = tenant.actor.removeprefix("user:")
        admin.execute(INSERT_CHANGE, {"tenant": tenant.tenant_id, "change": found.change, "author": author})
        yield found


def step_to(target: ChangeState) -> str:
    values = f"state = '{target}'"
    if target in {ChangeState.DRAFT, ChangeState.PREVIEWING}:
        values += ", plan_root = null"
    if target is ChangeState.DRAFT:
        values += ", approved_root = null, approved_by = null"
    if target is ChangeState.APPROVED:
        values += ", approved_root = 'r', approved_by = gen_random_uuid()"
    return f"update calibr.price_change set {values} where tenant_id = %(tenant)s"


def test_the_database_takes_exactly_the_steps_of_a_change_that_the_state_machine_knows(planted: Planted) -> None:
    accepted = set()
    for source in ChangeState:
        planted.put(PUT_CHANGE, source)
        for target in ChangeState:
            if source is not target and planted.takes(step_to(target)):
                accepted.add((source, target))

    assert accepted == lifecycle.change_moves()


def test_the_database_takes_exactly_the_moves_of_an_item_that_the_state_machine_knows(planted: Planted) -> None:
    accepted = set()
    for source in ItemState:
        planted.put("delete from calibr.price_change_item where tenant_id = %(tenant)s", source)
        planted.put(PUT_ITEM, source)
        for target in ItemState:
            step = f"update calibr.price_change_item set state = '{target}' where tenant_id = %(tenant)s"
            if source is not target and planted.takes(step):
                accepted.add((source, target))

    assert accepted == lifecycle.item_moves()


def test_an_item_that_nobody_claimed_is_neither_in_flight_nor_settled(planted: Planted) -> None:
    begin = PUT_ITEM.replace("%(change)s", f"'{planted.change}'").replace("%(product)s", f"'{planted.product}'")
    begin = begin.replace("%(fence)s", "null")

    begun = {s for s in ItemState if planted.takes(begin.replace("%(state)s", f"'{s}'"))}

    assert begun == {ItemState.PENDING, ItemState.SKIPPED, ItemState.CANCELLED}


def test_no_role_of_ours_can_insert_an_item_that_somebody_claimed(planted: Planted, database: Database) -> None:
    insert = text("""
      insert into calibr.price_change_item(
        tenant_id, change_id, price_list_id, product_id, currency, verdict, state, trace, fence)
      values (:tenant, :change, :change, :change, 'USD', 'changed', 'applied', '{}', 1)""")

    with pytest.raises(ProgrammingError) as refused, database.session(planted.context) as session:
        session.execute(insert, {"tenant": session.tenant_id, "change": planted.change})
    assert isinstance(refused.value.orig, InsufficientPrivilege)


def test_a_blocked_item_can_never_become_one_that_is_written(planted: Planted) -> None:
    planted.put(PUT_ITEM, "skipped")

    assert not planted.takes("update calibr.price_change_item set state = 'pending' where tenant_id = %(tenant)s")


@pytest.mark.parametrize(
    "broken",
    [
        "insert into calibr.price_change select * from calibr.price_change where tenant_id = %(tenant)s",
        "update calibr.price_change set transform_json = '[]' where tenant_id = %(tenant)s",
        "update calibr.price_change set rule_hash = 'other' where tenant_id = %(tenant)s",
        "update calibr.price_change set plan_root = 'other', approved_root = 'other' where tenant_id = %(tenant)s",
        "update calibr.price_change set approved_by = gen_random_uuid() where tenant_id = %(tenant)s",
        "update calibr.price_change set created_by = approved_by where tenant_id = %(tenant)s",
        "update calibr.price_change set editors = '{}' where tenant_id = %(tenant)s",
    ],
)
def test_what_is_approved_is_what_was_sealed(planted: Planted, broken: str) -> None:
    planted.put(PUT_CHANGE, "approved")

    assert not planted.takes(broken)


def test_nobody_approves_a_change_of_his_own(planted: Planted) -> None:
    planted.put(PUT_CHANGE, ChangeState.SUBMITTED)

    assert planted.takes(APPROVE.format("gen_random_uuid()"))
    assert not planted.takes(APPROVE.format("created_by"))
    assert not planted.takes(APPROVE.format(f"'{planted.product}', editors = array['{planted.product}'::uuid]"))


@pytest.mark.parametrize("state", list(ChangeState))
def test_items_of_a_plan_that_stands_cannot_be_deleted(
    planted: Planted, database: Database, state: ChangeState
) -> None:
    planted.put(PUT_CHANGE, state)
    planted.put(PUT_ITEM, "pending")

    with pytest.raises(IntegrityError, match="sealed"), database.session(planted.context) as session:
        session.execute(DELETE, {"change": planted.change})


@pytest.mark.parametrize("state", list(ChangeState))
def test_nothing_is_smuggled_into_a_plan_that_stands(planted: Planted, database: Database, state: ChangeState) -> None:
    planted.put(PUT_CHANGE, state)

    with pytest.raises(IntegrityError, match="sealed"), database.session(planted.context) as session:
        session.execute(INSERT_ITEM, {"tenant": session.tenant_id, "change": planted.change})


def test_what_an_unfinished_preview_left_can_be_deleted(planted: Planted, database: Database) -> None:
    planted.put(PUT_ITEM, "pending")

    with database.session(planted.context) as session:
        assert session.execute(DELETE, {"change": planted.change}).rowcount == 1


@pytest.mark.parametrize(
    "column", ["before_amount", "after_amount", "after_compare_at", "currency", "verdict", "trace", "product_id"]
)
def test_no_role_of_ours_can_change_what_is_sealed(planted: Planted, database: Database, column: str) -> None:
    planted.put(PUT_ITEM, "pending")

    with pytest.raises(ProgrammingError) as refused, database.session(planted.context) as session:
        session.execute(text(f"update calibr.price_change_item set {column} = {column}"))
    assert isinstance(refused.value.orig, InsufficientPrivilege)


def test_two_changes_cannot_have_the_same_price_in_flight(planted: Planted) -> None:
    planted.put(PUT_ITEM, "claimed")
    second = PUT_ITEM.replace("%(change)s", "gen_random_uuid()")

    with pytest.raises(UniqueViolation):
        planted.put(second, "unknown")
    planted.put(second, "pending")


def test_a_foreign_tenant_sees_and_deletes_nothing(planted: Planted, database: Database, other_tenant: Context) -> None:
    planted.put(PUT_ITEM, "pending")

    with database.session(other_tenant) as session:
        assert session.execute(text("delete from calibr.price_change_item")).rowcount == 0
        assert session.execute(text("update calibr.price_change set name = 'mine'")).rowcount == 0


def test_a_refusal_names_the_change_and_the_states(planted: Planted, database: Database) -> None:
    with pytest.raises(DBAPIError) as refused, database.session(planted.context) as session:
        session.execute(text("update calibr.price_change set state = 'applied'"))

    assert isinstance(refused.value.orig, Error)
    assert f"price change {planted.change} may not go from draft to applied" in str(refused.value.orig)
