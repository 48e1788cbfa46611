"""Pages of a plan: whole, in order, filtered, and cheap at any depth."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from journeys import Document, Journey, refused
from sqlalchemy import Select, text
from sqlalchemy.dialects import postgresql
from stores import Shop

from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Item, ItemKey
from calibr.changes.reads import get_item, items_page, list_items, read_in_order
from calibr.changes.reads_explain import explain_item
from calibr.core.ids import PriceListId, ProductId, new_uuid
from calibr.db import Context, Database
from calibr.pricing import Verdict

LARGE = 100_000
PAGE = 200
MOST_BUFFERS = 150
HALF_BLOCKED: Document = [{"id": "floor", "rule": "floor", "amount": "9.02", "action": "block"}]


def pages(database: Database, journey: Journey, **filters: Any) -> Iterator[list[Item]]:  # noqa: ANN401 - keywords
    after = None
    while True:
        with database.session(journey.author) as session:
            page = list_items(session, journey.id, after=after, limit=3, **filters)
        if not page:
            return
        yield page
        after = page[-1].key


def test_pages_give_every_item_once_in_the_order_of_the_plan(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.PREVIEWED)

    found = [item for page in pages(database, journey) for item in page]

    assert [item.key.product_id for item in found] == list(shop.product_ids)
    assert [item.sku for item in found] == [f"SKU-{n}" for n in range(10)]
    assert found[3].title == "Product 3"


def test_filters_by_verdict_and_state_leave_out_the_rest(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver, guardrails=HALF_BLOCKED).to(ChangeState.APPLYING)
    shop.store.prices.pop("e9")
    journey.run()

    blocked = [i.sku for page in pages(database, journey, verdict=Verdict.BLOCKED) for i in page]
    changed = [i.sku for page in pages(database, journey, verdict=Verdict.CHANGED) for i in page]
    applied = [i.sku for page in pages(database, journey, state=ItemState.APPLIED) for i in page]
    rejected = [i.sku for page in pages(database, journey, state=ItemState.REJECTED) for i in page]

    assert blocked == ["SKU-0", "SKU-1"]
    assert changed == [f"SKU-{n}" for n in range(2, 10)]
    assert applied == [f"SKU-{n}" for n in range(2, 9)]
    assert rejected == ["SKU-9"]


def test_an_item_that_is_not_in_the_plan_is_not_found(
    database: Database, shop: Shop, approver: Context, other_tenant: Context
) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.PREVIEWED)
    known = ItemKey(shop.price_list_id, shop.product_ids[0])
    unknown = ItemKey(PriceListId(new_uuid()), ProductId(new_uuid()))

    assert refused(database, shop.context, get_item, journey.id, unknown).code == "price_change.item_not_found"
    assert refused(database, shop.context, explain_item, journey.id, unknown).code == "price_change.item_not_found"
    assert refused(database, other_tenant, get_item, journey.id, known).code == "price_change.not_found"


@pytest.fixture(scope="module")
def large(
    database: Database, make_tenant: Callable[[], Any], open_large_shop: Callable[[Context, int], Shop]
) -> Journey:
    members = make_tenant()
    shop = open_large_shop(members.author, LARGE)
    rare: Document = [{"id": "floor", "rule": "floor", "amount": "10.00", "action": "block"}]
    return Journey.begin(database, shop, members.approver, guardrails=rare).to(ChangeState.PREVIEWED)


def explained(database: Database, context: Context, statement: Select[Any]) -> dict[str, Any]:
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    with database.session(context) as session:
        read_in_order(session)
        found = session.execute(text(f"explain (analyze, buffers, timing off, format json) {sql}")).scalar_one()
    (plan,) = found if isinstance(found, list) else json.loads(found)
    return dict(plan["Plan"])


def buffers(database: Database, context: Context, statement: Select[Any]) -> tuple[int, int]:
    """Rows and buffers of a statement, by what the server counts: a number that does not depend on the machine."""
    top = explained(database, context, statement)
    return int(top["Actual Rows"]), int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


@pytest.mark.slow
@pytest.mark.parametrize("verdict", [None, Verdict.CHANGED, Verdict.BLOCKED])
@pytest.mark.parametrize("depth", [0.0, 0.5, 0.95])
def test_a_page_reads_little_at_any_depth(
    database: Database, large: Journey, verdict: Verdict | None, depth: float
) -> None:
    shop = large.shop
    after = ItemKey(shop.price_list_id, shop.product_ids[int(LARGE * depth)])

    rows, read = buffers(database, shop.context, items_page(large.id, verdict, None, after, PAGE))

    assert rows == PAGE or verdict is Verdict.BLOCKED
    assert read <= MOST_BUFFERS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdict", "state", "index"),
    [
        (Verdict.BLOCKED, None, "item_notable"),
        (Verdict.CLAMPED, None, "item_notable"),
        (None, ItemState.DRIFTED, "item_failed"),
        (Verdict.CHANGED, ItemState.REJECTED, "item_failed"),
    ],
)
def test_a_rare_value_is_read_by_its_own_index_whatever_the_statistics_say(
    database: Database, large: Journey, verdict: Verdict | None, state: ItemState | None, index: str
) -> None:
    after = ItemKey(large.shop.price_list_id, large.shop.product_ids[0])

    plan = explained(database, large.shop.context, items_page(large.id, verdict, state, after, PAGE))

    assert index in json.dumps(plan)
    assert "Sort" not in json.dumps(plan)


@pytest.mark.slow
def test_the_names_of_a_page_are_found_one_by_one(database: Database, large: Journey) -> None:
    with database.session(large.author) as session:
        session.execute(text("set local statement_timeout = '1s'"))
        after = ItemKey(large.shop.price_list_id, large.shop.product_ids[int(LARGE * 0.95)])
        page = list_items(session, large.id, after=after, limit=PAGE)

    assert [item.sku for item in page] == [f"SKU-{int(LARGE * 0.95) + 1 + n}" for n in range(PAGE)]
