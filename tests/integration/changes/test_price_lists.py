"""Price changes on price lists beside the base prices: fixed, moved, taken away, and back."""

import pytest
from journeys import QUICK, TEN_PERCENT_OFF, Document, Journey, documents, refused, written
from list_stores import ListedShop, prices_in_force, with_list
from sqlalchemy import text
from stores import Shop

from calibr.changes import service
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import ItemKey, NewPriceChange, NewRelease, Price, PriceChange, Reassertion
from calibr.changes.reads import list_items
from calibr.changes.reads_explain import explain_item
from calibr.changes.reads_price_lists import Outcome, product_effects
from calibr.connectors.port import PriceWrite, WriteOutcome
from calibr.core.errors import Conflict, Invalid
from calibr.core.ids import PriceListId
from calibr.db import Context, Database
from calibr.registry import load_registry

FIXED = {"e0": Price(2000, 2500), "e1": Price(2100, None)}
EVERYTHING: Document = {"all": []}


@pytest.fixture
def listed(database: Database, shop: Shop) -> ListedShop:
    """Ten products; two of them have fixed prices in euros, the other eight follow the base price."""
    return with_list(database, shop, FIXED)


class Desk:
    """Takes changes of a shop with lists along their way."""

    def __init__(self, database: Database, shop: ListedShop, approver: Context) -> None:
        self.database, self.shop, self.approver = database, shop, approver

    def change(self, lists: list[PriceListId], **rules: Document) -> Journey:
        with self.database.session(self.shop.context) as session:
            made = service.create(session, NewPriceChange("Sale", documents(**rules), lists))
        return Journey(self.database, self.shop, self.approver, made)

    def release(self, selector: Document = EVERYTHING) -> Journey:
        with self.database.session(self.shop.context) as session:
            made = service.create_release(session, NewRelease("Release", written(selector), [self.shop.list_id]))
        return Journey(self.database, self.shop, self.approver, made)

    def rollback(self, of: Journey) -> Journey:
        with self.database.session(self.shop.context) as session:
            made = service.create_rollback(session, of.id)
        return Journey(self.database, self.shop, self.approver, made)

    def finish(self, planned: Journey) -> PriceChange:
        planned.approve()
        planned.start()
        return planned.run(QUICK)

    @property
    def both(self) -> list[PriceListId]:
        return [self.shop.price_list_id, self.shop.list_id]


@pytest.fixture
def desk(database: Database, listed: ListedShop, approver: Context) -> Desk:
    return Desk(database, listed, approver)


def test_base_and_list_change_together_and_the_list_goes_first(desk: Desk, database: Database) -> None:
    """Relative prices move with the base price: written in the other order, the list would look drifted."""
    journey = desk.change(desk.both).to(ChangeState.APPLYING)

    ended = journey.run()

    store = desk.shop.listed
    assert ended.state is ChangeState.APPLIED
    assert dict(ended.counts) == {ItemState.APPLIED: 20}
    assert store.prices["e3"] == Price(903, None)
    assert store.fixed == {
        "e0": Price(1800, 2500),
        "e1": Price(1890, None),
        **{f"e{n}": Price(((1000 + n) * 9 + 5) // 10, None) for n in range(2, 10)},
    }
    assert store.order == ["list"] * 10 + ["base"] * 10
    known = {i: (price, source) for i, price, source in prices_in_force(database, desk.shop)}
    assert known == {i: (price, "change") for i, price in store.fixed.items()}


def test_a_rollback_brings_fixed_prices_back_and_lets_the_others_follow_again(desk: Desk, database: Database) -> None:
    store = desk.shop.listed
    base, fixed = dict(store.prices), dict(store.fixed)
    journey = desk.change(desk.both).to(ChangeState.APPLYING)
    journey.run()

    back = desk.rollback(journey)
    summary = back.change.summary
    ended = desk.finish(back)

    assert summary is not None
    assert summary["price_lists"][0]["becomes_relative"] == 8
    assert ended.state is ChangeState.APPLIED
    assert (store.prices, store.fixed) == (base, fixed)
    known = {i: price for i, price, _ in prices_in_force(database, desk.shop)}
    assert known["e0"] == Price(2000, 2500)
    assert known["e5"].relative
    # What follows again was judged by following, at a time when the base price was still the new one.
    assert known["e5"].unit_amount == 905


def test_the_summary_says_what_is_written_what_follows_and_what_stays_fixed(desk: Desk) -> None:
    base_only = desk.change([desk.shop.price_list_id]).preview().summary
    both = desk.change(desk.both).preview().summary
    only_list = desk.change([desk.shop.list_id]).preview().summary

    about = {
        "price_list_id": str(desk.shop.list_id),
        "name": "Europe prices",
        "currency": "EUR",
        "markets": ["Europe"],
        "quantity_breaks": 0,
        "becomes_relative": 0,
    }
    nothing = {"to_write": 0, "becomes_fixed": 0}
    assert base_only is not None
    assert base_only["price_lists"] == [{**about, **nothing, "follows": 8, "stays_fixed": 2}]
    assert both is not None
    written_too = {"to_write": 10, "becomes_fixed": 8}
    assert both["price_lists"] == [{**about, **written_too, "follows": 0, "stays_fixed": 0}]
    assert {c["currency"] for c in both["currencies"]} == {"USD", "EUR"}
    assert only_list is not None
    assert only_list["price_lists"] == both["price_lists"]
    for summary in (base_only, both, only_list):
        assert load_registry().validate("price-change-summary", "1.1.0", dict(summary)) == []


def test_an_edit_of_somebody_else_on_the_list_is_not_overwritten(desk: Desk) -> None:
    journey = desk.change([desk.shop.list_id]).to(ChangeState.APPLYING)
    store = desk.shop.listed
    store.fixed["e1"] = Price(1, None)  # another amount
    store.fixed["e4"] = Price(1004, None)  # the same amount as before, but somebody fixed it
    del store.fixed["e0"]  # somebody took it away

    ended = journey.run()

    assert ended.state is ChangeState.PARTIALLY_APPLIED
    assert dict(ended.counts) == {ItemState.APPLIED: 7, ItemState.DRIFTED: 3}
    assert (store.fixed["e1"], store.fixed["e4"], "e0" in store.fixed) == (Price(1, None), Price(1004, None), False)


def test_a_moved_base_price_makes_relative_prices_drift(desk: Desk) -> None:
    journey = desk.change([desk.shop.list_id]).to(ChangeState.APPLYING)
    desk.shop.listed.prices["e6"] = Price(7, None)

    assert dict(journey.run().counts) == {ItemState.APPLIED: 9, ItemState.DRIFTED: 1}


def test_a_release_takes_fixed_prices_away_and_its_rollback_puts_them_back(desk: Desk, database: Database) -> None:
    released = desk.release()
    assert released.change.state is ChangeState.PREVIEWED
    assert released.change.counts == {ItemState.PENDING: 2}

    assert desk.finish(released).state is ChangeState.APPLIED
    assert desk.shop.listed.fixed == {}
    assert all(price.relative for _, price, _ in prices_in_force(database, desk.shop))

    assert desk.finish(desk.rollback(released)).state is ChangeState.APPLIED
    assert desk.shop.listed.fixed == FIXED


def test_a_release_is_about_the_selected_products(desk: Desk) -> None:
    desk.finish(desk.release({"skus": ["SKU-1", "SKU-5"]}))

    assert desk.shop.listed.fixed == {"e0": FIXED["e0"]}


def test_a_release_leaves_quantity_breaks_alone(desk: Desk, database: Database) -> None:
    names = {"tenant": desk.shop.context.tenant_id, "list": desk.shop.list_id, "product": desk.shop.product("e0")}
    with database.session(desk.shop.context) as session:
        added = "insert into calibr.quantity_break values (:tenant, :list, :product, 10, 1900)"
        session.execute(text(added), names)

    both = desk.change([desk.shop.list_id]).preview().summary
    desk.finish(desk.release())

    assert both is not None
    assert both["price_lists"][0]["quantity_breaks"] == 1
    assert desk.shop.listed.fixed == {"e0": FIXED["e0"]}


def test_a_rollback_leaves_fixed_what_has_got_quantity_breaks(desk: Desk, database: Database) -> None:
    journey = desk.change([desk.shop.list_id]).to(ChangeState.APPLYING)
    journey.run()
    names = {"tenant": desk.shop.context.tenant_id, "list": desk.shop.list_id, "product": desk.shop.product("e5")}
    with database.session(desk.shop.context) as session:
        session.execute(text("insert into calibr.quantity_break values (:tenant, :list, :product, 10, 900)"), names)

    desk.finish(desk.rollback(journey))

    assert set(desk.shop.listed.fixed) == {"e0", "e1", "e5"}


def test_a_retry_of_a_release_is_one(desk: Desk, database: Database) -> None:
    released = desk.release()
    desk.shop.listed.on_list_write = lambda _write: WriteOutcome.REJECTED
    assert dict(desk.finish(released).counts) == {ItemState.REJECTED: 2}

    desk.shop.listed.on_list_write = lambda _write: None
    with database.session(desk.shop.context) as session:
        made = service.create_retry(session, released.id)
    again = Journey(database, desk.shop, desk.approver, made)

    assert again.change.releases
    assert desk.finish(again).state is ChangeState.APPLIED
    assert desk.shop.listed.fixed == {}


def test_a_release_does_not_take_away_what_somebody_changed(desk: Desk) -> None:
    released = desk.release()
    desk.shop.listed.fixed["e0"] = Price(2000, None)

    assert dict(desk.finish(released).counts) == {ItemState.APPLIED: 1, ItemState.DRIFTED: 1}
    assert desk.shop.listed.fixed == {"e0": Price(2000, None)}


def test_a_release_needs_a_list_with_fixed_prices(desk: Desk, database: Database) -> None:
    def release(lists: list[PriceListId], selector: Document = EVERYTHING) -> NewRelease:
        return NewRelease("Release", written(selector), lists)

    author, create = desk.shop.context, service.create_release
    base = refused(database, author, create, release([desk.shop.price_list_id]))
    none = refused(database, author, create, release([desk.shop.list_id], {"skus": ["SKU-7"]}))

    assert isinstance(base, Invalid)
    assert (base.code, base.faults[0].path) == ("price_change.price_lists", "$.price_list_ids[0]")
    assert isinstance(none, Conflict)
    assert none.code == "price_change.nothing_to_release"


def test_a_list_that_is_not_in_use_any_more_is_refused(desk: Desk, database: Database) -> None:
    with database.session(desk.shop.context) as session:
        session.execute(text("update calibr.price_list set active = false where id = :id"), {"id": desk.shop.list_id})

    new = NewPriceChange("Sale", documents(), [desk.shop.list_id])
    error = refused(database, desk.shop.context, service.create, new)

    assert isinstance(error, Invalid)
    assert error.faults[0].rule == "is not in use at its store any more"


@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_is_settled_by_reading(desk: Desk, *, is_done: bool) -> None:
    store, lost = desk.shop.listed, ["e0", "e2"]

    def lose(write: PriceWrite) -> WriteOutcome | None:
        if write.external_id not in lost:
            return None
        lost.remove(write.external_id)
        if is_done:
            store.put_fixed(write)
        return WriteOutcome.UNKNOWN

    store.on_list_write = lose
    ended = desk.change([desk.shop.list_id]).to(ChangeState.APPLYING).run()

    assert ended.state is ChangeState.APPLIED
    assert len(store.list_journal) == 10


def test_a_lost_answer_to_a_release_is_settled_by_reading(desk: Desk) -> None:
    store, lost = desk.shop.listed, ["e0"]

    def lose(write: PriceWrite) -> WriteOutcome | None:
        if write.external_id in lost:
            lost.clear()
            store.put_fixed(write)
            return WriteOutcome.UNKNOWN
        return None

    store.on_list_write = lose

    assert desk.finish(desk.release()).state is ChangeState.APPLIED
    assert store.list_journal.count(("e0", None)) == 1


def test_every_item_can_say_why(desk: Desk, database: Database) -> None:
    journey = desk.change(desk.both).to(ChangeState.APPLYING)
    journey.run()
    back = desk.rollback(journey)
    released = desk.release()

    registry = load_registry()
    for each in (journey, back, released, desk.rollback(_applied(desk, released))):
        with database.session(desk.shop.context) as session:
            items = list_items(session, each.id, limit=50)
            traces = [explain_item(session, each.id, item.key) for item in items]
        assert items
        for item, trace in zip(items, traces, strict=True):
            assert registry.validate("explain-trace", "1.1.0", dict(trace)) == []
            assert trace["after"] == {"unit_amount": item.after.unit_amount, "compare_at": item.after.compare_at}


def _applied(desk: Desk, planned: Journey) -> Journey:
    desk.finish(planned)
    return planned


def test_events_say_what_was_relative(desk: Desk) -> None:
    journey = desk.change([desk.shop.list_id]).to(ChangeState.APPLYING)
    journey.run()
    back = desk.rollback(journey)
    desk.finish(back)

    first = [entry.explain for entry in journey.audit("price.changed")]
    second = [entry.explain for entry in back.audit("price.changed")]
    assert sum(entry["before"].get("relative", False) for entry in first) == 8
    assert not [entry for entry in first if entry["after"].get("relative")]
    nothing = {"unit_amount": None, "compare_at": None, "relative": True}
    assert [entry["after"] for entry in second].count(nothing) == 8
    assert {entry["observed"]["relative"] for entry in second if entry["after"] == nothing} == {True}


def test_effects_say_what_buyers_pay_on_each_list(desk: Desk, database: Database) -> None:
    rules: dict[str, Document] = {"selector": {"skus": ["SKU-0", "SKU-3"]}, "transform": TEN_PERCENT_OFF}
    journey = desk.change([desk.shop.price_list_id], **rules)
    change = journey.preview()

    with database.session(desk.shop.context) as session:
        fixed = product_effects(session, change, desk.shop.product("e0"))
        relative = product_effects(session, change, desk.shop.product("e3"))
        untouched = product_effects(session, change, desk.shop.product("e4"))

    base, europe = fixed
    assert (base.price_list.is_base, base.outcome, base.after) == (True, Outcome.WRITTEN, Price(900, None))
    assert (europe.markets, europe.outcome, europe.after) == (("Europe",), Outcome.STAYS, Price(2000, 2500))
    assert (relative[1].outcome, relative[1].is_estimate) == (Outcome.FOLLOWS, True)
    assert relative[1].after == Price(903, None, relative=True)
    assert [each.outcome for each in untouched] == [Outcome.STAYS, Outcome.STAYS]


def test_a_reassertion_fixes_again_what_somebody_let_follow(desk: Desk, database: Database) -> None:
    """The price in force is a relative one by then, and what it says is what the store is compared with."""
    store = desk.shop.listed
    del store.fixed["e1"]
    with database.session(desk.shop.context) as session:
        session.execute(
            text("""update calibr.price_version set valid_to = now()
                    where price_list_id = :list and product_id = :product and ends_at = 'infinity'"""),
            {"list": desk.shop.list_id, "product": desk.shop.product("e1")},
        )
        key = ItemKey(desk.shop.list_id, desk.shop.product("e1"))
        made = service.create_reassertion(session, [Reassertion(key, 2100, None)], "Back")
    journey = Journey(database, desk.shop, desk.approver, made)

    ended = desk.finish(journey)

    assert dict(ended.counts) == {ItemState.APPLIED: 1}
    assert store.fixed["e1"] == Price(2100, None)


def test_a_killed_run_goes_on_with_the_list_that_it_was_at(desk: Desk, database: Database) -> None:
    """The cursor knows one list at a time; what comes later in the run must not hide what came before."""
    journey = desk.change(desk.both).to(ChangeState.APPLYING)
    store = desk.shop.listed
    calls = 0

    def die(_write: PriceWrite) -> WriteOutcome | None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise RuntimeError("the worker dies")
        return None

    store.on_list_write = die
    with pytest.raises(RuntimeError):
        journey.run()
    with database.session(desk.shop.context) as session:
        session.execute(text("update calibr.price_change set lease_until = now() where id = :id"), {"id": journey.id})

    ended = journey.run()

    assert ended.state is ChangeState.APPLIED
    assert dict(ended.counts) == {ItemState.APPLIED: 20}
    assert len(store.list_journal) == 10
    assert len(store.journal) == 10
