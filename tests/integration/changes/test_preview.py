"""A preview: items that agree with the other back end, numbers that add up, and a seal that anybody can recompute."""

import hashlib
import json
from collections.abc import Callable

import pytest
from journeys import EVERYTHING, Document, Journey, refused
from sqlalchemy import text
from stores import Shop

from calibr.changes import service
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import EditedPriceChange, Price
from calibr.changes.preview import PreviewSettings, compute, quick_summary, run, run_preview
from calibr.changes.reads import list_items, list_work
from calibr.changes.reads_explain import explain_item
from calibr.changes.seal import plan_lines
from calibr.core.ids import PriceChangeId
from calibr.db import Context, Database, Session
from calibr.registry import load_registry

RULES: dict[str, Document] = {
    "selector": EVERYTHING,
    "transform": {
        "cases": [
            {
                "when": {"field": "product.tags", "op": "has_any", "value": ["Sale"]},
                "price": [
                    {"op": "percent", "by": "-10"},
                    {"op": "ending", "endings": ["0.99"], "per": "1.00", "mode": "down"},
                ],
                "compare_at": {"set": "from_price"},
            },
            {
                "when": {"field": "product.sku", "op": "in", "value": ["SKU-1", "SKU-3"]},
                "price": [{"op": "from_cost", "markup": "10"}],
            },
        ],
        "otherwise": "leave",
    },
    "guardrails": [{"id": "drop", "rule": "max_decrease", "percent": "15", "action": "block"}],
}


def root_of(plan: bytes) -> str:
    """The ten lines of the how-to; they import nothing of ours."""
    level = [hashlib.sha256(b"\0" + row).digest() for row in plan.split(b"\n")[:-1]]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[-1:] if len(level) % 2 else []
        level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + odd
    return level[0].hex()


def plan_of(journey: Journey) -> bytes:
    with journey.database.session(journey.author, isolation="repeatable read") as session:
        return b"".join(plan_lines(session, journey.id))


def test_items_and_summary_say_what_the_rules_make_of_the_catalog(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver, **RULES)

    change = journey.preview()

    with database.session(shop.context) as session:
        items = {item.sku: item for item in list_items(session, journey.id, limit=50)}
    assert set(items) == {"SKU-0", "SKU-1", "SKU-2", "SKU-3", "SKU-4", "SKU-6", "SKU-8"}
    assert (items["SKU-0"].before, items["SKU-0"].after) == (Price(1000, None), Price(899, 1000))
    assert items["SKU-0"].state is ItemState.PENDING
    assert (items["SKU-1"].verdict, items["SKU-1"].reason, items["SKU-1"].binding) == ("blocked", "guardrail", "drop")
    assert items["SKU-1"].state is ItemState.SKIPPED
    summary = change.summary
    assert summary is not None
    assert load_registry().validate("price-change-summary", "1.1.0", dict(summary)) == []
    assert (summary["selected"], summary["left"], summary["items"], summary["to_write"]) == (10, 3, 7, 5)
    assert summary["verdicts"] == {"changed": 5, "clamped": 0, "unchanged": 0, "blocked": 2}
    assert summary["directions"] == {"up": 0, "down": 5, "none": 2}
    assert summary["reasons"] == {"guardrail": 2}
    assert summary["bound_by"] == {"drop": 2}
    assert summary["currencies"] == [
        {
            "currency": "USD",
            "items": 5,
            "before_total": 5020,
            "after_total": 4495,
            "delta": -525,
            "margin": {"items": 5, "before": 4975, "after": 4450, "delta": -525},
        }
    ]
    assert [b for b in summary["histogram"] if b["items"]] == [{"from_bp": -1500, "to_bp": -1000, "items": 5}]
    assert [m["sku"] for m in summary["top_movers"]["down"]] == ["SKU-8", "SKU-6", "SKU-4", "SKU-2", "SKU-0"]
    assert summary["top_movers"]["up"] == []
    told = {"calls": 3, "points": 30, "seconds": 5, "path": "calls"}
    where = {"connection_id": str(shop.connection_id), "price_list_id": str(journey.change.price_list_ids[0])}
    assert summary["eta"] == [{**where, **told}]
    assert change.counts == {ItemState.PENDING: 5, ItemState.SKIPPED: 2}


def test_the_quick_summary_agrees_with_the_plan(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver, **RULES)
    with database.session(shop.context) as session:
        quick = quick_summary(session, journey.id)

    summary = journey.preview().summary

    assert summary is not None
    assert {name: summary[name] for name in quick} == quick
    assert journey.audit("price_change.previewed")[0].explain["items"] == 7


def test_the_root_is_what_anybody_computes_from_the_exported_plan(
    database: Database, shop: Shop, approver: Context
) -> None:
    journey = Journey.begin(database, shop, approver, **RULES)

    change = journey.preview()

    plan = plan_of(journey)
    assert root_of(plan) == change.plan_root
    header, *rows = plan.decode().splitlines()
    assert header.split("|")[:4] == ["calibr-plan/1", str(change.id), "1", change.rule_hash]
    assert header.split("|")[6:] == ["10", "3", "7"]
    assert rows[0] == f"{shop.product_ids[0]}|{shop.price_list_id}|USD|1000||899|1000|changed||"
    assert rows == sorted(rows)


def test_every_item_can_be_explained_with_the_stored_numbers(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver, **RULES)
    journey.preview()

    with database.session(shop.context) as session:
        items = list_items(session, journey.id, limit=50)
        traces = [explain_item(session, journey.id, item.key) for item in items]

    for item, trace in zip(items, traces, strict=True):
        assert load_registry().validate("explain-trace", "1.1.0", trace) == []
        assert trace["after"] == item.after.payload()
        assert (trace["verdict"], trace["rule_hash"]) == (item.verdict, journey.change.rule_hash)
    assert [t["case"] for t in traces[:2]] == [0, 1]


def test_several_price_lists_share_one_plan_in_order(
    database: Database, shop: Shop, open_shop: Callable[..., Shop], approver: Context
) -> None:
    second = open_shop(products=4, currency="JPY")
    shops = {shop.price_list_id: shop, second.price_list_id: second}
    floor: Document = [{"id": "floor", "rule": "floor", "amount": {"amount": "9.50", "currency": "USD"}}]
    journey = Journey.begin(database, shop, approver, guardrails=floor)
    with database.session(shop.context) as session:
        service.request_preview(session, journey.id)

    change = run_preview(database, journey.worker, journey.id)

    with database.session(shop.context) as session:
        items = list_items(session, journey.id, limit=50)
    assert [(i.key.price_list_id, i.key.product_id) for i in items] == [
        (price_list, product) for price_list in sorted(shops) for product in shops[price_list].product_ids
    ]
    assert {i.after.unit_amount for i in items if i.key.price_list_id == shop.price_list_id} == {950}
    summary = change.summary
    assert summary is not None
    assert [c["currency"] for c in summary["currencies"]] == ["JPY", "USD"]
    assert summary["not_applied"] == [
        {
            "price_list_id": str(second.price_list_id),
            "currency": "JPY",
            "kind": "guardrail",
            "path": "$.guardrails[0]",
            "name": "floor",
            "meant_for": "USD",
        }
    ]
    assert root_of(plan_of(journey)) == change.plan_root


def test_an_amount_that_does_not_fit_a_currency_refuses_the_preview_and_names_list_and_place(
    database: Database, shop: Shop, open_shop: Callable[..., Shop], approver: Context
) -> None:
    open_shop(products=4, currency="JPY")
    journey = Journey.begin(database, shop, approver, guardrails=[{"id": "floor", "rule": "floor", "amount": "9.50"}])
    with database.session(shop.context) as session:
        service.request_preview(session, journey.id)

    change = run_preview(database, journey.worker, journey.id)

    assert (change.state, change.plan_root) == (ChangeState.DRAFT, None)
    assert change.error is not None
    assert change.error["code"] == "document.amount_precision"
    (fault,) = change.error["faults"]
    assert fault["path"] == "$.guardrails[0].amount"
    assert "price list Base, JPY" in fault["rule"]
    (told,) = journey.audit("price_change.preview_failed")
    assert told.explain["error"] == change.error
    assert journey.preview().state is ChangeState.DRAFT


def test_a_preview_that_died_starts_over(
    database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey.begin(database, shop, approver)
    with monkeypatch.context() as dying:
        dying.setattr(run, "seal_items", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            journey.preview()
    left = count_items(journey)
    with database.session(shop.context) as session:
        nothing = list_items(session, journey.id, limit=50)
        session.execute(text("update calibr.product set active = false where sku = 'SKU-0'"))

    change = run_preview(database, journey.worker, journey.id)

    assert (left, nothing) == (10, [])
    assert change.state is ChangeState.PREVIEWED
    assert count_items(journey) == 9
    assert root_of(plan_of(journey)) == change.plan_root


def test_a_second_worker_keeps_away_while_the_lease_holds(
    database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey.begin(database, shop, approver)
    real, states, due = compute.insert_items, [], []

    def insert(*arguments: object, **named: object) -> int:
        states.append(run_preview(database, journey.worker, journey.id).state)
        with database.session(shop.context) as session:
            due.append(list_work(session))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(compute, "insert_items", insert)
    change = journey.preview()

    assert set(states) == {ChangeState.PREVIEWING}
    assert due[0] == []
    assert change.state is ChangeState.PREVIEWED
    assert count_items(journey) == 10


def test_a_worker_that_was_overtaken_adds_nothing_to_the_plan(
    database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey.begin(database, shop, approver)
    real, overtaken = compute.lock_plan_for_writing, []

    def lock(session: Session, change_id: PriceChangeId) -> None:
        if not overtaken:
            overtaken.append(change_id)
            with database.session(shop.context) as other:
                other.execute(text("update calibr.price_change set lease_until = now() - interval '1 s'"))
            assert run_preview(database, journey.worker, journey.id).state is ChangeState.PREVIEWED
        real(session, change_id)

    monkeypatch.setattr(compute, "lock_plan_for_writing", lock)
    change = journey.preview()

    assert change.state is ChangeState.PREVIEWED
    assert count_items(journey) == 10
    assert root_of(plan_of(journey)) == change.plan_root
    assert len(journey.audit("price_change.previewed")) == 1


def test_an_edit_during_a_preview_wins(
    database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey.begin(database, shop, approver)
    real = run.seal_items

    def seal(*arguments: object) -> str:
        with database.session(shop.context) as session:
            service.edit(session, journey.id, 1, EditedPriceChange(name="Meanwhile"))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "seal_items", seal)
    journey.preview()

    assert (journey.change.state, journey.change.revision, journey.change.plan_root) == (ChangeState.DRAFT, 2, None)
    assert journey.audit("price_change.previewed") == []


def test_a_change_that_is_cancelled_during_its_preview_keeps_no_items(
    database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey.begin(database, shop, approver)
    real = run.seal_items

    def seal(*arguments: object) -> str:
        with database.session(shop.context) as session:
            service.cancel(session, journey.id)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "seal_items", seal)
    journey.preview()

    assert journey.change.state is ChangeState.CANCELLED
    assert count_items(journey) == 0


def test_a_preview_waits_in_the_list_of_work(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver)
    with database.session(shop.context) as session:
        service.request_preview(session, journey.id)
        assert list_work(session) == [(journey.id, ChangeState.PREVIEWING)]

    run_preview(database, journey.worker, journey.id, PreviewSettings(parallel=1))

    with database.session(shop.context) as session:
        assert list_work(session) == []


def test_what_is_selected_only_for_a_missing_value_is_counted(
    database: Database, tenant: Context, open_shop: Callable[..., Shop], approver: Context
) -> None:
    shop = open_shop(products=6, with_cost=False)
    cheap: Document = {"not": {"field": "cost.unit_cost", "op": "lt", "value": "5.00"}}

    summary = Journey.begin(database, shop, approver, selector=cheap).preview().summary

    assert tenant == shop.context
    assert summary is not None
    assert (summary["selected"], summary["selected_as_missing"]) == (6, 6)


HALF_ROUNDED: dict[str, Document] = {
    "price": [{"op": "percent", "by": "-50"}, {"op": "round", "to": "1.00"}],
}
ANY_SKU: Document = {"field": "product.sku", "op": "not_null"}


@pytest.mark.parametrize(
    "transform", [HALF_ROUNDED, {"cases": [{"when": {"not": ANY_SKU}, "price": []}, {"when": ANY_SKU, **HALF_ROUNDED}]}]
)
def test_rounding_that_goes_further_than_the_guardrail_is_counted(
    database: Database, shop: Shop, approver: Context, transform: dict[str, Document]
) -> None:
    floor: Document = [{"id": "floor", "rule": "floor", "amount": "5.01"}]
    journey = Journey.begin(database, shop, approver, transform=transform, guardrails=floor)
    with database.session(shop.context) as session:
        quick = quick_summary(session, journey.id)

    summary = journey.preview().summary

    assert summary is not None
    assert summary["verdicts"]["clamped"] == 10
    assert summary["rounded_past_guardrail"] == quick["rounded_past_guardrail"] == 10


def test_a_change_without_a_plan_has_no_rows_to_export(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver)

    error = refused(database, shop.context, lambda session: list(plan_lines(session, journey.id)))

    assert error.code == "price_change.no_plan"


def count_items(journey: Journey) -> int:
    with journey.database.session(journey.author) as session:
        wanted = text("select count(*) from calibr.price_change_item where change_id = :id")
        return int(session.execute(wanted, {"id": journey.id}).scalar_one())


def test_the_summary_can_be_stored_as_plain_json(database: Database, shop: Shop, approver: Context) -> None:
    change = Journey.begin(database, shop, approver, **RULES).preview()

    assert json.loads(json.dumps(change.summary)) == change.summary
