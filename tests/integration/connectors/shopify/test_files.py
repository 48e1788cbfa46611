"""Writing prices in files, over real HTTP: the upload, the operation, its result, and what gets lost on the way."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sandbox_process import TOKEN, Sandbox
from test_sandbox_store import read_rows

from calibr.connectors.port import BulkView, BulkWriter, PriceWrite, WriteOutcome
from calibr.connectors.shopify import ShopifyConnector, create
from calibr.core.ids import new_uuid

PATIENCE_S = 20.0


@pytest.fixture
def writer(connector: ShopifyConnector) -> BulkWriter:
    assert connector.bulk is not None
    return connector.bulk


@pytest.fixture
def writes(connector: ShopifyConnector, tmp_path: Path) -> list[PriceWrite]:
    listed = read_rows(connector, tmp_path)[:60]
    return [
        PriceWrite(
            row["external_id"],
            row["group_external_id"],
            "USD",
            int(row["unit_amount"]) + 7,
            int(row["unit_amount"]) + 500 if number % 3 == 0 else None,
            write_compare_at=number % 3 != 2,
        )
        for number, row in enumerate(listed)
    ]


def soon() -> float:
    return time.monotonic() + PATIENCE_S


def ended(writer: BulkWriter, operation_id: str) -> BulkView:
    until = soon()
    while time.monotonic() < until:
        view = writer.look(operation_id)
        assert view is not None
        if view.is_over:
            return view
        time.sleep(0.05)
    raise AssertionError(f"{operation_id} does not end")


def test_a_file_writes_what_calls_would(
    writer: BulkWriter, connector: ShopifyConnector, writes: list[PriceWrite]
) -> None:
    ids = [write.external_id for write in writes]
    before = connector.read_prices(ids, "USD")

    started = writer.start(str(new_uuid()), writes, until=soon())
    assert started.operation_id is not None
    results = writer.results(ended(writer, started.operation_id), writes)

    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}
    assert [result.external_id for result in results] == [write.external_id for write in writes]
    shown = connector.read_prices(ids, "USD")
    for write in writes:
        price = shown[write.external_id]
        assert price.unit_amount == write.unit_amount
        was = before[write.external_id].compare_at
        assert price.compare_at == (write.compare_at if write.write_compare_at else was)


def test_a_file_is_found_by_its_name_and_another_is_not(writer: BulkWriter, writes: list[PriceWrite]) -> None:
    began, tag = datetime.now(UTC), str(new_uuid())
    started = writer.start(tag, writes[:2], until=soon())

    found = writer.find(tag, began)

    assert found is not None
    assert found.operation_id == started.operation_id
    assert writer.find(str(new_uuid()), began) is None


def test_an_answer_that_is_lost_leaves_a_file_that_is_found(
    writer: BulkWriter, store: Sandbox, writes: list[PriceWrite]
) -> None:
    began, tag = datetime.now(UTC), str(new_uuid())
    store.fault("drop_after_commit", operations=["CalibrStartBulkMutation"], count=1)

    started = writer.start(tag, writes[:2], until=soon())

    assert (started.outcome, started.operation_id) == (WriteOutcome.UNKNOWN, None)
    found = writer.find(tag, began)
    assert found is not None
    results = writer.results(ended(writer, found.operation_id), writes[:2])
    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}


def test_a_start_that_never_arrived_leaves_nothing(
    writer: BulkWriter, store: Sandbox, writes: list[PriceWrite]
) -> None:
    began, tag, accepted = datetime.now(UTC), str(new_uuid()), store.accepted_writes()
    store.fault("drop_before_commit", operations=["CalibrStartBulkMutation"], count=1)

    assert writer.start(tag, writes[:2], until=soon()).outcome is WriteOutcome.UNKNOWN
    assert writer.find(tag, began) is None
    assert store.accepted_writes() == accepted


def test_nothing_is_started_after_the_last_moment(writer: BulkWriter, store: Sandbox, writes: list[PriceWrite]) -> None:
    began, tag, accepted = datetime.now(UTC), str(new_uuid()), store.accepted_writes()

    started = writer.start(tag, writes[:2], until=time.monotonic() - 0.1)

    assert started.outcome is WriteOutcome.RETRY
    assert writer.find(tag, began) is None
    assert store.accepted_writes() == accepted


def test_a_row_that_the_store_refuses_is_told_from_those_that_it_took(
    writer: BulkWriter, writes: list[PriceWrite]
) -> None:
    stranger = PriceWrite("999999999999", writes[0].group_external_id, "USD", 100, None, write_compare_at=False)

    started = writer.start(str(new_uuid()), [stranger, *writes[:3]], until=soon())
    assert started.operation_id is not None
    results = writer.results(ended(writer, started.operation_id), [stranger, *writes[:3]])

    assert [result.outcome for result in results] == [WriteOutcome.REJECTED] + [WriteOutcome.WRITTEN] * 3


def test_a_store_without_a_free_place_asks_to_come_back(store: Sandbox, writes: list[PriceWrite]) -> None:
    connector = create({"shop_url": store.url}, {"access_token": TOKEN}, allow_loopback=True)
    assert connector.bulk is not None
    started = [connector.bulk.start(str(new_uuid()), writes[n : n + 1], until=soon()) for n in range(12)]
    connector.close()

    refused = [each for each in started if each.outcome is WriteOutcome.RETRY]
    taken = [each for each in started if each.operation_id is not None]
    assert len(refused) + len(taken) == 12
    assert all(each.code == "upstream.throttled" and each.retry_after_s for each in refused)


def test_a_canceled_file_is_over_only_when_the_store_says_so(writer: BulkWriter, writes: list[PriceWrite]) -> None:
    started = writer.start(str(new_uuid()), writes, until=soon())
    assert started.operation_id is not None

    writer.cancel(started.operation_id)
    view = ended(writer, started.operation_id)

    assert view.status in {"CANCELED", "COMPLETED"}
    results = writer.results(view, writes)
    assert {result.outcome for result in results} <= {WriteOutcome.WRITTEN, WriteOutcome.UNKNOWN}
