"""What a change could not write is tried again by another change, with the same prices and a plan of its own."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from journeys import QUICK, Journey, refused
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from stores import FakeConnector, Shop
from test_preview import plan_of, root_of

from calibr.changes import service
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Price
from calibr.changes.reads import list_items
from calibr.changes.reads_explain import explain_item
from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.db import Context, Database

REFUSED = {"e3", "e4"}


@pytest.fixture
def partly(database: Database, shop: Shop, approver: Context, monkeypatch: pytest.MonkeyPatch) -> Journey:
    """A change of which the store refused two prices, and somebody edited a third."""
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPLYING)
    real = FakeConnector.write_prices

    def picky(connector: FakeConnector, writes: Iterable[PriceWrite], **_: object) -> list[WriteResult]:
        wanted = list(writes)
        no = [WriteResult(w.external_id, WriteOutcome.REJECTED, code="no") for w in wanted if w.external_id in REFUSED]
        return no + real(connector, [w for w in wanted if w.external_id not in REFUSED])

    shop.store.prices["e7"] = Price(1, None)
    with monkeypatch.context() as today:
        today.setattr(FakeConnector, "write_prices", picky)
        assert journey.run().state is ChangeState.PARTIALLY_APPLIED
    return journey


def try_again(journey: Journey) -> Journey:
    with journey.database.session(journey.author) as session:
        return Journey(journey.database, journey.shop, journey.approver, service.create_retry(session, journey.id))


def test_only_what_was_refused_is_tried_again(partly: Journey) -> None:
    retry = try_again(partly)
    assert (retry.change.state, retry.change.retry_of) == (ChangeState.PREVIEWED, partly.id)
    assert (retry.change.name, retry.change.rule_hash) == ("Retry of Sale", partly.change.rule_hash)
    written = len(partly.shop.store.journal)

    retry.approve()
    retry.start()
    done = retry.run(QUICK)

    assert dict(done.counts) == {ItemState.APPLIED: 2}
    assert {external_id for external_id, _ in partly.shop.store.journal[written:]} == REFUSED
    assert partly.shop.store.prices["e7"] == Price(1, None)


def test_its_plan_is_sealed_and_explained(partly: Journey) -> None:
    retry = try_again(partly)

    assert root_of(plan_of(retry)) == retry.change.plan_root
    with retry.database.session(retry.author) as session:
        (first, _) = list_items(session, retry.id, limit=10)
        trace = explain_item(session, retry.id, first.key)
        before = explain_item(session, partly.id, first.key)
    assert trace["steps"] == before["steps"]
    assert [e.action for e in retry.audit()][-1] == "price_change.retry_planned"


def test_a_change_without_such_items_has_nothing_to_retry(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPLYING)
    journey.run()

    said = refused(database, shop.context, service.create_retry, journey.id)

    assert said.code == "price_change.nothing_to_retry"


def test_a_change_that_has_not_ended_cannot_be_tried_again(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver).to(ChangeState.APPLYING)

    said = refused(database, shop.context, service.create_retry, journey.id)

    assert said.code == "price_change.wrong_state"


def test_its_origin_is_fixed(partly: Journey) -> None:
    retry = try_again(partly)

    with pytest.raises(DBAPIError, match="is fixed"), retry.database.session(retry.author) as session:
        session.execute(text("update calibr.price_change set retry_of = null where id = :id"), {"id": retry.id})
    assert replace(retry.change, retry_of=None) != retry.change
