"""Drift: prices that somebody else changed are found, told once, and decided about by people; our own never are."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import text
from storefront import TEN_PERCENT_OFF, Storefront, headers_of

from calibr.db import Role
from calibr.inbound import inbox

SHIRT, MUG = 8_100_000_000_001, 8_100_000_000_002
RED, BLUE, CUP = 45_100_000_000_001, 45_100_000_000_002, 45_100_000_000_003


@pytest.fixture
def sold(front: Storefront) -> Storefront:
    """Ten percent off, applied: red is 9.00, blue 9.90 beside 15.00, the cup 6.75."""
    assert front.applied()["state"] == "applied"
    front.ledger()
    assert front.prices() == {str(RED): (900, None), str(BLUE): (990, 1500), str(CUP): (675, None)}
    return front


def test_an_edit_by_hand_is_found_by_its_webhook(sold: Storefront) -> None:
    story = str(uuid4())
    sold.edit(RED, price="12.34", compareAtPrice="20.00")
    body = sold.body(SHIRT)

    sold.send(body, headers_of(body, Event_Id=story))
    sold.work_in()

    (found,) = sold.drift()
    assert (found["external_id"], found["state"], found["source"], found["writer"]) == (
        str(RED), "open", "webhook", None,
    )  # fmt: skip
    assert found["expected"] == {"unit_amount": 900, "compare_at": None}
    assert found["observed"] == {"unit_amount": 1234, "compare_at": 2000}
    assert found["expected_change_id"] is not None
    (seen,) = [e for e in sold.told("price.observed") if e["payload"].get("source") == "webhook"]
    (drifted,) = sold.told("price.drifted")
    assert (seen["correlation_id"], drifted["correlation_id"]) == (story, story)
    assert drifted["payload"]["observed_event_id"] == seen["event_id"]
    assert (drifted["payload"]["expected"], drifted["payload"]["observed"]) == (found["expected"], found["observed"])
    assert sold.prices()[str(RED)] == (1234, 2000)


def test_nothing_is_written_to_the_store_by_itself(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()

    writes = httpx2.get(f"{sold.sandbox.url}/sandbox/journal").json()["writes"]
    assert [write["source"] for write in writes] == ["api", "api", "api", "hand"]
    assert json.loads(sold.body(SHIRT))["variants"][0]["price"] == "12.34"


def test_the_echo_of_our_own_apply_is_no_drift_and_costs_no_call(front: Storefront) -> None:
    front.applied()

    front.tell(SHIRT)
    front.tell(MUG)
    front.work_in()

    assert front.deliveries() == {"handled": 2}
    assert front.told("price.observed", "price.drifted") == []
    assert front.calls["opened"] == 0


def test_an_echo_that_comes_before_its_item_is_settled_is_known_for_what_it_is(front: Storefront) -> None:
    change_id = front.approved(selector={"skus": ["BLUE"]})
    seen: list[Any] = []
    connector = front.connector(front.connection_id)
    write = connector.write_prices

    def write_and_hear(writes: Any, **ways: Any) -> Any:  # noqa: ANN401
        results = write(writes, **ways)
        front.tell(SHIRT)  # the store's webhook is faster than our settlement
        front.work_in()
        seen.append((front.deliveries(), front.told("price.observed")))
        return results

    connector.write_prices = write_and_hear  # type: ignore[method-assign]
    front.connector = lambda _id: connector  # type: ignore[method-assign]
    front.apply(change_id)

    assert seen == [({"handled": 1}, [])]
    assert front.calls["opened"] == 0
    assert front.told("price.observed", "price.drifted") == []
    assert front.prices()[str(BLUE)] == (990, 1500)


def test_a_sync_beside_a_running_change_takes_no_write_of_ours_for_drift(front: Storefront, tmp_path: Path) -> None:
    change_id = front.approved()
    summaries: list[Any] = []
    connector = front.connector(front.connection_id)
    write = connector.write_prices

    def write_and_sync(writes: Any, **ways: Any) -> Any:  # noqa: ANN401
        results = write(writes, **ways)
        del front.connector
        summaries.append(front.sync(tmp_path))
        front.connector = lambda _id: connector  # type: ignore[method-assign]
        return results

    connector.write_prices = write_and_sync  # type: ignore[method-assign]
    front.connector = lambda _id: connector  # type: ignore[method-assign]
    applied = front.apply(change_id)

    assert applied["state"] == "applied"
    assert [summary.prices_observed for summary in summaries] == [0]
    front.ledger()
    assert (front.told("price.observed"), front.drift()) == ([], [])


def test_an_edit_during_the_apply_is_drift_once_the_item_is_settled(front: Storefront) -> None:
    change_id = front.approved()
    seen: list[Any] = []
    connector = front.connector(front.connection_id)
    write = connector.write_prices

    def write_and_edit(writes: Any, **ways: Any) -> Any:  # noqa: ANN401
        results = write(writes, **ways)
        front.edit(CUP, price="1.11")
        front.tell(MUG)
        front.work_in()
        seen.append((front.deliveries(), front.told("price.observed")))
        return results

    connector.write_prices = write_and_edit  # type: ignore[method-assign]
    front.connector = lambda _id: connector  # type: ignore[method-assign]
    applied = front.apply(change_id)
    del front.connector
    assert applied["progress"]["counts"] == {"applied": 2, "drifted": 1}
    assert seen == [({"waiting": 1}, [])]
    front.make_due()
    front.work_in()

    (found,) = front.drift()
    assert (found["external_id"], found["expected"]["unit_amount"], found["observed"]["unit_amount"]) == (
        str(CUP), 675, 111,
    )  # fmt: skip


def test_an_edit_back_to_the_price_in_force_closes_the_row(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()

    sold.edit(RED, price="9.00")
    sold.tell(SHIRT)
    sold.work_in()

    (found,) = sold.drift("gone")
    assert (sold.drift(), found["reason"]) == ([], "edited_back")
    assert [e["payload"]["reason"] for e in sold.told("drift.gone")] == ["edited_back"]


def test_a_second_edit_after_an_edit_back_is_drift_again(sold: Storefront) -> None:
    for price in ("12.34", "9.00", "8.00"):
        sold.edit(RED, price=price)
        sold.tell(SHIRT)
        sold.work_in()

    (found,) = sold.drift()
    assert (found["expected"]["unit_amount"], found["observed"]["unit_amount"]) == (900, 800)
    assert len(sold.drift("gone")) == 1


def test_later_edits_update_the_one_open_row(sold: Storefront) -> None:
    for price in ("12.34", "13.00", "14.00"):
        sold.edit(RED, price=price)
        sold.tell(SHIRT)
        sold.work_in()

    (found,) = sold.drift()
    assert (found["observed"]["unit_amount"], found["observations"]) == (1400, 3)
    assert [e["payload"]["observed"]["unit_amount"] for e in sold.told("price.drifted")] == [1234, 1300, 1400]


def test_deliveries_out_of_order_and_twice_end_in_the_state_of_the_store(sold: Storefront) -> None:
    bodies = []
    for price in ("12.00", "13.00", "14.00"):
        sold.edit(RED, price=price)
        bodies.append(sold.body(SHIRT))
    newest_first = [(body, headers_of(body)) for body in reversed(bodies)]

    for body, headers in (*newest_first, *newest_first):
        assert sold.send(body, headers).status_code == 200
        sold.work_in()

    (found,) = sold.drift()
    assert (found["observed"]["unit_amount"], found["observations"]) == (1400, 1)
    assert len(sold.told("price.drifted")) == 1
    assert sold.prices()[str(RED)] == (1400, None)


def test_a_late_delivery_of_an_old_state_changes_nothing(sold: Storefront) -> None:
    sold.edit(RED, price="12.00")
    old = sold.body(SHIRT)
    sold.edit(RED, price="9.00")

    sold.send(old)
    sold.work_in()

    assert (sold.drift(), sold.told("price.observed")) == ([], [])
    assert sold.prices()[str(RED)] == (900, None)


def test_a_price_that_was_never_ours_is_observed_and_not_drift(front: Storefront) -> None:
    front.edit(RED, price="12.34")
    front.tell(SHIRT)
    front.work_in()

    assert len(front.told("price.observed")) == 1
    assert front.drift() == []


def test_a_sync_finds_drift_too(sold: Storefront, tmp_path: Path) -> None:
    sold.edit(RED, price="12.34")

    sold.sync(tmp_path)
    sold.ledger()

    (found,) = sold.drift()
    assert (found["source"], found["observed"]["unit_amount"]) == ("sync", 1234)


def test_adopting_makes_the_price_the_expected_one(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    (found,) = sold.drift()

    adopted = sold.team.author.post(f"/v1/drift/{found['id']}/adopt", json={})

    assert (adopted.status_code, adopted.json()["state"]) == (200, "adopted")
    assert adopted.json()["closed_by"].startswith("user:")
    assert sold.drift() == []
    sold.edit(RED, price="13.00")
    sold.tell(SHIRT)
    sold.work_in()
    (again,) = sold.drift()
    assert (again["expected"]["unit_amount"], again["expected_change_id"]) == (1234, None)
    history = sold.team.viewer.get(f"/v1/products/{found['product_id']}/prices").json()
    assert [version["source"] for version in history["items"]] == ["ingest", "adopted", "ingest", "change", "ingest"]


def test_a_price_that_moved_on_is_not_adopted(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    (found,) = sold.drift()
    sold.edit(RED, price="13.00")
    sold.tell(SHIRT)
    inbox.Inbox(sold.database, sold.worker, sold.services.webhook_readers, sold.connector).run(
        sold.connection_id, _never()
    )

    answer = sold.team.author.post(f"/v1/drift/{found['id']}/adopt", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "drift.moved")
    sold.ledger()
    assert sold.drift()[0]["state"] == "open"


def test_reasserting_takes_the_way_of_every_price_change(sold: Storefront) -> None:
    sold.edit(RED, price="12.34", compareAtPrice="20.00")
    sold.edit(CUP, price="5.00")
    sold.tell(SHIRT)
    sold.tell(MUG)
    sold.work_in()
    ids = [row["id"] for row in sold.drift()]

    made = sold.team.author.post("/v1/drift/reassert", json={"drift_ids": ids, "name": "Put back"})

    assert made.status_code == 201, made.text
    change = made.json()
    assert (change["state"], change["reasserts"], change["summary"]["items"]) == ("previewed", True, 2)
    assert {row["reassert_change_id"] for row in sold.drift()} == {change["id"]}
    assert json.loads(sold.body(SHIRT))["variants"][0]["price"] == "12.34"  # nothing is written yet
    self_approved = sold.team.author.post(
        f"/v1/price-changes/{change['id']}/approve", json={"plan_root": change["plan_root"]}
    )
    assert self_approved.status_code == 403
    item = sold.team.author.get(f"/v1/price-changes/{change['id']}/items").json()["items"][0]
    explained = sold.team.author.get(
        f"/v1/price-changes/{change['id']}/items/{item['price_list_id']}/{item['product_id']}/explain"
    )
    assert explained.status_code == 200, explained.text

    applied = sold.apply(sold.decided(change["id"]))
    sold.ledger()

    assert (applied["state"], applied["progress"]["counts"]) == ("applied", {"applied": 2})
    assert sold.prices() == {str(RED): (900, None), str(BLUE): (990, 1500), str(CUP): (675, None)}
    shown = json.loads(sold.body(SHIRT))["variants"][0]
    assert (shown["price"], shown["compare_at_price"]) == ("9.00", None)
    assert {row["state"] for row in sold.drift("reasserted")} == {"reasserted"}
    assert sold.drift() == []
    assert len(sold.told("drift.reasserted")) == 2


def test_what_was_edited_again_meanwhile_is_not_overwritten_by_a_reassertion(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    made = sold.team.author.post("/v1/drift/reassert", json={"drift_ids": [sold.drift()[0]["id"]]}).json()
    sold.decided(made["id"])
    sold.edit(RED, price="13.00")

    applied = sold.apply(made["id"])

    assert applied["progress"]["counts"] == {"drifted": 1}
    assert json.loads(sold.body(SHIRT))["variants"][0]["price"] == "13.00"


def test_a_reassertion_cannot_be_edited_or_previewed_anew(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    made = sold.team.author.post("/v1/drift/reassert", json={"drift_ids": [sold.drift()[0]["id"]]}).json()

    path = f"/v1/price-changes/{made['id']}"
    edited = sold.team.author.patch(path, json={"transform": TEN_PERCENT_OFF}, headers={"If-Match": '"1"'})
    previewed = sold.team.author.post(f"{path}/preview", json={})

    assert [edited.status_code, previewed.status_code] == [409, 409]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"drift_ids": []}, 422, "request.invalid"),
        ({"drift_ids": ["x"]}, 422, "request.invalid"),
        ({}, 422, "request.invalid"),
        ({"drift_ids": [str(uuid4())]}, 404, "drift.not_found"),
    ],
)
def test_bad_input_is_named(front: Storefront, body: dict[str, Any], status: int, code: str) -> None:
    answer = front.team.author.post("/v1/drift/reassert", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_is_decided_stays_decided(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    drift_id = sold.drift()[0]["id"]
    sold.team.author.post(f"/v1/drift/{drift_id}/adopt", json={})

    again = sold.team.author.post(f"/v1/drift/{drift_id}/adopt", json={})
    reasserted = sold.team.author.post("/v1/drift/reassert", json={"drift_ids": [drift_id]})

    assert [answer.json()["code"] for answer in (again, reasserted)] == ["drift.not_open"] * 2


def test_a_later_price_change_closes_what_it_overwrites(sold: Storefront) -> None:
    sold.edit(RED, price="12.00")
    sold.tell(SHIRT)
    sold.work_in()

    sold.applied(selector={"field": "price.unit_amount", "op": "eq", "value": "12.00"})
    sold.ledger()

    (found,) = sold.drift("gone")
    assert (found["reason"], sold.drift()) == ("changed", [])
    assert sold.prices()[str(RED)] == (1080, None)


def test_a_deleted_product_ends_its_listings_and_their_drift(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)
    sold.work_in()
    with sold.sandbox.shop.store.transaction() as connection:
        connection.execute("DELETE FROM variant WHERE product_id = ?", (SHIRT,))
    body = json.dumps({"id": SHIRT}).encode()

    sold.send(body, headers_of(body, topic="products/delete"))
    sold.work_in()

    assert sold.prices() == {str(CUP): (675, None)}
    assert {e["payload"]["external_id"] for e in sold.told("listing.vanished")} == {str(RED), str(BLUE)}
    assert [row["reason"] for row in sold.drift("gone")] == ["vanished"]


def test_a_deletion_that_the_store_does_not_confirm_is_not_believed(sold: Storefront) -> None:
    body = json.dumps({"id": SHIRT}).encode()

    sold.send(body, headers_of(body, topic="products/delete"))
    sold.work_in()

    assert sold.told("listing.vanished") == []
    assert len(sold.prices()) == 3


def test_a_product_that_is_not_known_asks_for_a_sync(front: Storefront) -> None:
    body = json.dumps(
        {"id": 99, "variants": [{"id": 990, "price": "1.00", "compare_at_price": None}], "variant_gids": []}
    ).encode()

    front.send(body, headers_of(body, topic="products/create"))
    front.work_in()

    with front.database.session(front.worker, role=Role.WORKER) as session:
        wanted = session.execute(text("select sync_wanted_since is not null from calibr.connection_watch")).scalar_one()
    assert wanted is True
    assert front.deliveries() == {"handled": 1}


def test_variants_that_are_only_named_are_read(sold: Storefront) -> None:
    """Of more than 100 variants a webhook shows the first 100: here of two only one."""
    sold.edit(BLUE, price="12.34")
    product = json.loads(sold.body(SHIRT))
    product["variants"] = [row for row in product["variants"] if row["id"] != BLUE]
    body = json.dumps(product).encode()

    sold.send(body)
    sold.work_in()

    (found,) = sold.drift()
    assert (found["external_id"], found["observed"]["unit_amount"]) == (str(BLUE), 1234)


def test_a_store_that_does_not_answer_is_asked_again_later(sold: Storefront) -> None:
    sold.edit(RED, price="12.34")
    sold.tell(SHIRT)

    def closed(_id: object) -> Any:  # noqa: ANN401
        from calibr.core.errors import Upstream  # noqa: PLC0415

        raise Upstream("upstream.unreachable", "The store cannot be reached.", retryable=True)

    inbox.Inbox(sold.database, sold.worker, sold.services.webhook_readers, closed).run(sold.connection_id, _never())
    assert (sold.deliveries(), sold.drift()) == ({"waiting": 1}, [])
    sold.make_due()
    sold.work_in()

    assert sold.deliveries() == {"handled": 1}
    assert len(sold.drift()) == 1


def test_a_replay_of_the_ledger_rebuilds_it_and_tells_nothing_again(sold: Storefront) -> None:
    from calibr.delivery import list_subscriptions, replay  # noqa: PLC0415
    from calibr.drift import DriftLedger  # noqa: PLC0415

    for variant, price in ((RED, "12.34"), (CUP, "5.00"), (CUP, "6.75")):
        sold.edit(variant, price=price)
        sold.tell(SHIRT if variant == RED else MUG)
        sold.work_in()
    sold.team.author.post(f"/v1/drift/{sold.drift()[0]['id']}/adopt", json={})
    sold.edit(BLUE, price="3.00")
    sold.tell(SHIRT)
    sold.work_in()
    before = {state: sold.drift(state) for state in ("open", "adopted", "gone")}
    told = len(sold.told("price.drifted", "drift.gone", "drift.adopted"))

    with sold.database.session(sold.worker, role=Role.WORKER) as session:
        (id_,) = [s.id for s in list_subscriptions(session) if s.name == "drift"]
        replay(session, id_, 0, projections={"drift": DriftLedger()})
    sold.ledger()

    after = {state: sold.drift(state) for state in ("open", "adopted", "gone")}
    assert _without_actor(after) == _without_actor(before)
    assert len(sold.told("price.drifted", "drift.gone", "drift.adopted")) == told


def _without_actor(ledger: dict[str, list[dict[str, Any]]]) -> object:
    return {state: [{**row, "closed_by": None} for row in rows] for state, rows in ledger.items()}


def _never() -> Any:  # noqa: ANN401
    from storefront import QUIET  # noqa: PLC0415

    return QUIET
