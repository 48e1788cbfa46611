"""Writing price changes down and editing them: what is refused changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from journeys import TEN_PERCENT_OFF, Journey, documents, footprint, refused, written
from stores import Shop

from calibr.changes import service
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import EditedPriceChange, NewPriceChange
from calibr.changes.reads import list_changes
from calibr.core.errors import Conflict, Forbidden, Invalid, NotFound
from calibr.core.ids import PriceChangeId, PriceListId, new_uuid
from calibr.db import Context, Database
from calibr.events import list_audit


def test_a_draft_covers_all_base_price_lists_unless_told_otherwise(
    database: Database, shop: Shop, open_shop: Callable[..., Shop], approver: Context
) -> None:
    second = open_shop(products=1, currency="EUR")

    change = Journey.begin(database, shop, approver).change

    assert change.state is ChangeState.DRAFT
    assert set(change.price_list_ids) == {shop.price_list_id, second.price_list_id}
    assert f"user:{change.created_by}" == shop.context.actor


def test_a_draft_is_told_by_one_event_with_its_hash(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver)

    with database.session(shop.context) as session:
        (entry,) = list_audit(session, entity="price_change", entity_id=str(journey.id))
    assert entry.action == "price_change.created"
    assert entry.actor == shop.context.actor
    assert entry.explain["rule_hash"] == journey.change.rule_hash


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"selector": {}}, "$.selector"),
        ({"selector": {"field": "product.color", "op": "eq", "value": "red"}}, "$.selector.field"),
        ({"selector": {"field": "product.sku", "op": "like", "value": "A"}}, "$.selector.op"),
        ({"selector": {"all": [], "any": []}}, "$.selector"),
        ({"transform": {"price": [{"op": "percent", "by": -10}]}}, "$.transform.price[0].by"),
        ({"transform": {"price": [{"op": "percent", "by": "-100"}]}}, "$.transform.price[0].by"),
        ({"transform": {"price": [{"op": "halve"}]}}, "$.transform.price[0].op"),
        ({"transform": TEN_PERCENT_OFF | {"note": "x"}}, "$.transform.note"),
        ({"guardrails": [{"id": "a", "rule": "floor", "amount": "-1"}]}, "$.guardrails[0].amount"),
    ],
)
def test_a_bad_document_is_refused_with_its_place(
    database: Database, shop: Shop, rules: dict[str, Any], path: str
) -> None:
    error = refused(database, shop.context, service.create, NewPriceChange("x", documents(**rules)))

    assert isinstance(error, Invalid)
    assert error.faults[0].path.startswith(path)
    assert error.faults[0].path in error.message
    assert error.faults[0].rule in error.message


def test_a_price_list_of_nobody_or_of_another_tenant_is_refused(
    database: Database, shop: Shop, other_tenant: Context
) -> None:
    foreign = PriceListId(new_uuid())

    error = refused(
        database, shop.context, service.create, NewPriceChange("x", documents(), [shop.price_list_id, foreign])
    )

    assert (error.code, error.faults[0].path) == ("price_change.price_lists", "$.price_list_ids[1]")
    assert str(foreign) in error.message
    with_no_store = refused(database, other_tenant, service.create, NewPriceChange("x", documents()))
    assert "connect and sync a store first" in with_no_store.message


@pytest.mark.parametrize("name", ["", "   ", "n" * 201])
def test_a_name_must_say_something(database: Database, shop: Shop, name: str) -> None:
    error = refused(database, shop.context, service.create, NewPriceChange(name, documents()))

    assert (error.code, error.faults[0].path) == ("price_change.name", "$.name")


def test_a_worker_writes_no_price_changes(database: Database, shop: Shop) -> None:
    worker = Context(shop.context.tenant_id, "system:worker", new_uuid())

    assert isinstance(refused(database, worker, service.create, NewPriceChange("x", documents())), Forbidden)


def test_another_tenant_finds_and_touches_nothing(
    database: Database, shop: Shop, approver: Context, other_tenant: Context
) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPROVED)
    before = footprint(database, shop.context)

    for command in (
        service.submit, service.cancel, service.start_apply, service.pause, service.resume, service.abort,
        service.create_rollback, service.request_preview,
    ):  # fmt: skip
        assert isinstance(refused(database, other_tenant, command, journey.id), NotFound)
    assert isinstance(refused(database, other_tenant, service.approve, journey.id, "r"), NotFound)
    assert footprint(database, shop.context) == before
    with database.session(other_tenant) as session:
        assert list_changes(session, limit=10) == []


def test_an_edit_is_a_new_revision_and_voids_plan_and_approval(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPROVED)
    was = journey.change

    with database.session(shop.context) as session:
        service.edit(session, journey.id, 1, EditedPriceChange(transform=written({"price": []})))

    now = journey.change
    assert (now.state, now.revision) == (ChangeState.DRAFT, 2)
    assert (now.plan_root, now.summary, now.approved_by, now.approved_root, now.submitted_by) == (None,) * 5
    assert now.rule_hash != was.rule_hash
    assert now.selector_json == was.selector_json
    error = refused(database, approver, service.start_apply, journey.id)
    assert error.code == "price_change.wrong_state"


def test_an_edit_of_an_old_revision_is_refused_with_both_revisions(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver)
    with database.session(shop.context) as session:
        service.edit(session, journey.id, 1, EditedPriceChange(name="Second"))

    error = refused(database, shop.context, service.edit, journey.id, 1, EditedPriceChange(name="Third"))

    assert isinstance(error, Conflict)
    assert error.code == "price_change.stale_revision"
    assert "revision 1" in error.message
    assert "revision 2" in error.message


def test_an_edit_with_a_bad_document_leaves_the_plan_standing(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.PREVIEWED)

    error = refused(database, shop.context, service.edit, journey.id, 1, EditedPriceChange(guardrails=written({})))

    assert error.faults[0].path == "$.guardrails"
    assert journey.change.plan_root is not None


def test_what_began_to_be_applied_is_not_edited(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPLYING)

    error = refused(database, shop.context, service.edit, journey.id, 1, EditedPriceChange(name="Late"))

    assert error.code == "price_change.wrong_state"


def test_an_unknown_change_is_not_found(database: Database, shop: Shop) -> None:
    error = refused(database, shop.context, service.submit, PriceChangeId(new_uuid()))

    assert isinstance(error, NotFound)


def test_changes_are_listed_newest_first_and_page_by_page(database: Database, shop: Shop, approver: Context) -> None:
    ids = [Journey.begin(database, shop, approver).id for _ in range(3)]

    with database.session(shop.context) as session:
        first = list_changes(session, limit=2)
        rest = list_changes(session, limit=2, after=first[-1].id)
        none = list_changes(session, state=ChangeState.APPLIED, limit=5)
    assert [c.id for c in (*first, *rest)] == ids[::-1]
    assert none == []
