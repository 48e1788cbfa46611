"""A rollback is a price change like any other: reviewed, checked against the store, explained."""

import pytest
from journeys import QUICK, Document, Journey, refused
from sqlalchemy import text
from stores import Shop
from test_preview import plan_of, root_of

from calibr.catalog import NewPrice, record_prices
from calibr.changes import service
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import EditedPriceChange, Price
from calibr.changes.reads import list_items, list_rollbacks
from calibr.changes.reads_explain import explain_item
from calibr.core.ids import new_uuid
from calibr.db import Context, Database
from calibr.registry import load_registry

CUT: dict[str, Document] = {
    "transform": {"price": [{"op": "percent", "by": "-20"}], "compare_at": {"set": "from_price"}, "allow_zero": True}
}


@pytest.fixture
def applied(database: Database, shop: Shop, approver: Context) -> Journey:
    journey = Journey.begin(database, shop, approver, **CUT).to(ChangeState.APPLYING)
    assert journey.run().state is ChangeState.APPLIED
    return journey


def roll_back(journey: Journey) -> Journey:
    with journey.database.session(journey.author) as session:
        return Journey(journey.database, journey.shop, journey.approver, service.create_rollback(session, journey.id))


def finish(rollback: Journey) -> dict[ItemState, int]:
    rollback.approve()
    rollback.start()
    return dict(rollback.run(QUICK).counts)


def test_a_rollback_restores_every_price_and_compare_at(applied: Journey) -> None:
    before = {f"e{n}": Price(1000 + n, None) for n in range(10)}
    assert applied.shop.store.prices != before

    counts = finish(roll_back(applied))

    assert counts == {ItemState.APPLIED: 10}
    assert applied.shop.store.prices == before


def test_a_rollback_is_previewed_at_once_with_a_sealed_plan(applied: Journey, database: Database) -> None:
    change = roll_back(applied).change

    assert (change.state, change.rollback_of, change.name) == (ChangeState.PREVIEWED, applied.id, "Rollback of Sale")
    assert change.summary is not None
    assert load_registry().validate("price-change-summary", "1.1.0", dict(change.summary)) == []
    assert change.summary["directions"] == {"up": 10, "down": 0, "none": 0}
    assert change.summary["currencies"][0]["margin"]["items"] == 10
    assert change.rule_hash != applied.change.rule_hash
    rollback = Journey(database, applied.shop, applied.approver, change)
    assert root_of(plan_of(rollback)) == change.plan_root
    with database.session(applied.author) as session:
        assert [c.id for c in list_rollbacks(session, applied.id)] == [change.id]
    told = [entry.action for entry in rollback.audit()]
    assert told == ["price_change.created", "price_change.preview_requested", "price_change.previewed"]
    assert rollback.audit()[0].explain["rollback_of"] == str(applied.id)


def test_what_somebody_changed_since_is_reported_and_left_alone(applied: Journey) -> None:
    store = applied.shop.store
    store.prices["e2"], store.prices["e7"] = Price(555, None), Price(1007, None)

    counts = finish(roll_back(applied))

    assert counts == {ItemState.APPLIED: 8, ItemState.DRIFTED: 1, ItemState.NOOP: 1}
    assert store.prices["e2"] == Price(555, None)


def test_only_what_was_applied_is_rolled_back(database: Database, shop: Shop, approver: Context) -> None:
    shop.store.prices["e3"] = Price(1, None)
    journey = Journey.begin(database, shop, approver, **CUT).to(ChangeState.APPLYING)
    journey.run()

    rollback = roll_back(journey)

    with database.session(shop.context) as session:
        items = list_items(session, rollback.id, limit=50)
    assert len(items) == 9
    assert shop.product("e3") not in {item.key.product_id for item in items}


def test_a_rollback_keeps_the_history_of_prices(applied: Journey, database: Database) -> None:
    finish(roll_back(applied))

    with database.session(applied.author) as session:
        rows = session.execute(
            text("select source, unit_amount from calibr.price_version where product_id = :id order by valid_from"),
            {"id": applied.shop.product("e0")},
        )
        assert [tuple(row) for row in rows] == [("ingest", 1000), ("change", 800), ("rollback", 1000)]


def test_every_item_of_a_rollback_is_explained(applied: Journey, database: Database) -> None:
    rollback = roll_back(applied)

    with database.session(applied.author) as session:
        items = list_items(session, rollback.id, limit=50)
        traces = [explain_item(session, rollback.id, item.key) for item in items]

    assert load_registry().validate("explain-trace", "1.1.0", traces[0]) == []
    assert traces[0]["steps"] == [{"op": "set", "in": 800, "out": 1000}]
    assert traces[0]["compare_at"] == {"in": 1000, "out": None, "why": "clear"}
    assert traces[0]["inputs"] == {"unit_amount": 800, "compare_at": 1000, "unit_cost": 5}
    assert all(trace["rule_hash"] == rollback.change.rule_hash for trace in traces)


def test_a_rollback_can_be_rolled_back(applied: Journey) -> None:
    after = dict(applied.shop.store.prices)
    rollback = roll_back(applied)
    finish(rollback)

    counts = finish(roll_back(rollback))

    assert counts == {ItemState.APPLIED: 10}
    assert applied.shop.store.prices == after


def test_a_price_of_zero_and_a_lower_compare_at_are_restored_as_they_were(
    database: Database, shop: Shop, approver: Context
) -> None:
    nothing = NewPrice(shop.product("e0"), shop.price_list_id, "USD", 0, 0)
    with database.session(shop.context) as session:
        record_prices(session, [nothing], change_id=new_uuid(), source="change")
    shop.store.prices["e0"] = Price(0, 0)
    only: Document = {"skus": ["SKU-0"]}
    five: Document = {"price": [{"op": "set", "to": "5"}], "compare_at": "clear"}
    journey = Journey.begin(database, shop, approver, selector=only, transform=five).to(ChangeState.APPLYING)
    assert journey.run().counts == {ItemState.APPLIED: 1}
    rollback = roll_back(journey)
    with database.session(shop.context) as session:
        (item,) = list_items(session, rollback.id, limit=5)
        assert explain_item(session, rollback.id, item.key)["after"] == {"unit_amount": 0, "compare_at": 0}

    assert finish(rollback) == {ItemState.APPLIED: 1}
    assert shop.store.prices["e0"] == Price(0, 0)


def test_what_has_not_ended_or_changed_nothing_cannot_be_rolled_back(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPLYING)
    running = refused(database, shop.context, service.create_rollback, journey.id)
    shop.store.prices = {i: Price(1, None) for i in shop.store.prices}
    assert journey.run().state is ChangeState.FAILED
    empty = refused(database, shop.context, service.create_rollback, journey.id)

    assert running.code == "price_change.wrong_state"
    assert empty.code == "price_change.nothing_to_roll_back"


def test_the_plan_of_a_rollback_is_neither_edited_nor_computed_anew(applied: Journey, database: Database) -> None:
    rollback = roll_back(applied)

    edited = refused(database, applied.author, service.edit, rollback.id, 1, EditedPriceChange(name="x"))
    again = refused(database, applied.author, service.request_preview, rollback.id)

    assert edited.code == again.code == "price_change.rollback_is_fixed"


def test_a_rollback_needs_a_second_person_too(applied: Journey, database: Database) -> None:
    rollback = roll_back(applied)
    with database.session(applied.author) as session:
        root = str(service.submit(session, rollback.id).plan_root)

    error = refused(database, applied.author, service.approve, rollback.id, root)

    assert error.code == "price_change.author_cannot_approve"
