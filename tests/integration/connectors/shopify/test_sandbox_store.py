"""The connector and the sandbox store, each a process of its own: catalog, prices, limits and faults over real HTTP."""

import csv
import io
import time
from pathlib import Path

import pytest
from sandbox_process import Sandbox, sandbox

from calibr.connectors.port import STAGE_COLUMNS, PriceWrite, WriteOutcome
from calibr.connectors.shopify import ShopifyConnector
from calibr.core.errors import Upstream

Row = dict[str, str]


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Nobody watches."""


def read_rows(connector: ShopifyConnector, folder: Path) -> list[Row]:
    stream = connector.read_catalog(folder, silent)
    try:
        text = b"".join(stream.chunks()).decode()
    finally:
        stream.close()
    return list(csv.DictReader(io.StringIO(text), STAGE_COLUMNS))


@pytest.fixture
def rows(connector: ShopifyConnector, tmp_path: Path) -> list[Row]:
    return read_rows(connector, tmp_path)


def raised(row: Row, by: int = 1) -> PriceWrite:
    amount = int(row["unit_amount"]) + by
    return PriceWrite(row["external_id"], row["group_external_id"], "USD", amount, None, write_compare_at=False)


def test_check_describes_the_store(connector: ShopifyConnector) -> None:
    health = connector.check()

    assert health.ok
    assert health.problems == ()
    assert (health.store_name, health.currency, health.plan) == ("Calibr Sandbox", "USD", "Plus")
    assert health.api_version == "2026-10"
    assert "write_products" in health.scopes
    assert health.latency_ms is not None


def test_check_names_what_is_missing(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--scope", "read_products") as store:
        connector = store.connect()
        health = connector.check()
        connector.close()

    assert not health.ok
    assert health.missing_scopes == ("write_products", "read_inventory", "read_markets")
    assert health.problems[0].startswith("The app lacks the scope write_products, which is needed to read the catalog")


def test_check_with_a_wrong_token_says_so_and_not_the_token(store: Sandbox) -> None:
    connector = store.connect("shpat_wrong_one")
    health = connector.check()
    connector.close()

    assert not health.ok
    assert "refuses the access token (HTTP 401)" in health.problems[0]
    assert "shpat_wrong_one" not in repr(health)


def test_reads_the_whole_catalog_with_prices_as_the_store_has_them(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    assert len({row["external_id"] for row in rows}) == store.control("GET", "stats")["variants"] == 1500
    prices = connector.read_prices([row["external_id"] for row in rows], "USD")

    listed = {row["external_id"]: (row["unit_amount"], row["compare_at"] or None) for row in rows}
    current = {
        price.external_id: (str(price.unit_amount), None if price.compare_at is None else str(price.compare_at))
        for price in prices.values()
    }
    assert current == listed


def test_progress_is_told_while_the_catalog_is_read(connector: ShopifyConnector, tmp_path: Path) -> None:
    stages: dict[str, int] = {}

    connector.read_catalog(tmp_path, lambda stage, done, _total: stages.update({stage: done})).close()

    assert stages["catalog export"] > 1500
    assert stages["catalog download"] > 100_000


def test_an_empty_store_is_an_empty_catalog(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--bulk-delay", "0") as store:
        connector = store.connect()
        assert read_rows(connector, tmp_path) == []
        connector.close()


def test_writes_what_was_asked_and_nothing_else(connector: ShopifyConnector, store: Sandbox, rows: list[Row]) -> None:
    chosen = rows[:300]
    before = store.accepted_writes()

    results = connector.write_prices([raised(row) for row in chosen])

    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}
    assert store.accepted_writes() - before == 300
    after = connector.read_prices([row["external_id"] for row in rows], "USD")
    changed = {row["external_id"] for row in rows if after[row["external_id"]].unit_amount != int(row["unit_amount"])}
    assert changed == {row["external_id"] for row in chosen}


def test_compare_at_is_set_cleared_to_null_or_left_alone(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    row = rows[400]

    def after(compare_at: int | None, *, touch: bool) -> object:
        write = PriceWrite(
            row["external_id"], row["group_external_id"], "USD", 1000, compare_at, write_compare_at=touch
        )
        assert connector.write_prices([write])[0].outcome is WriteOutcome.WRITTEN
        return store.variant(row["external_id"])["compare_at_price"]

    assert after(2000, touch=True) == "20.00"
    assert after(None, touch=False) == "20.00"
    assert after(None, touch=True) is None


def test_rows_that_the_store_refuses_do_not_stop_their_neighbors(connector: ShopifyConnector, rows: list[Row]) -> None:
    gone = PriceWrite("999", rows[0]["group_external_id"], "USD", 100, None, write_compare_at=False)
    stranger = PriceWrite(
        rows[-1]["external_id"], rows[0]["group_external_id"], "USD", 100, None, write_compare_at=False
    )
    nowhere = PriceWrite("998", "997", "USD", 100, None, write_compare_at=False)

    results = connector.write_prices([gone, raised(rows[0], by=7), stranger, nowhere])

    assert [result.outcome for result in results] == [
        WriteOutcome.REJECTED, WriteOutcome.WRITTEN, WriteOutcome.REJECTED, WriteOutcome.REJECTED,
    ]  # fmt: skip
    assert [result.code for result in results if result.code] == [
        "PRODUCT_VARIANT_DOES_NOT_EXIST", "PRODUCT_VARIANT_DOES_NOT_EXIST", "PRODUCT_DOES_NOT_EXIST",
    ]  # fmt: skip


def test_an_answer_lost_after_the_write_is_unknown_and_the_write_is_there(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    write = raised(rows[500], by=11)
    connector.read_prices([write.external_id], "USD")
    store.fault("drop_after_commit", count=1, mutations_only=True)

    (result,) = connector.write_prices([write])

    assert (result.outcome, result.code) == (WriteOutcome.UNKNOWN, "upstream.unreachable")
    assert connector.read_prices([write.external_id], "USD")[write.external_id].unit_amount == write.unit_amount


def test_a_call_lost_before_the_write_looks_the_same_and_nothing_is_there(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    write = raised(rows[501], by=11)
    connector.read_prices([write.external_id], "USD")
    before = store.accepted_writes()
    store.fault("drop_before_commit", count=1, mutations_only=True)

    (result,) = connector.write_prices([write])

    assert result.outcome is WriteOutcome.UNKNOWN
    assert store.accepted_writes() == before


@pytest.mark.parametrize("kind", ["throttle", "too_many_requests"])
def test_throttling_costs_time_and_no_row(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row], kind: str
) -> None:
    chosen = rows[600:640]
    before = store.accepted_writes()
    store.fault(kind, rate=0.2, seed=5, count=5, mutations_only=True)

    results = connector.write_prices([raised(row, by=13) for row in chosen])

    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}
    assert store.accepted_writes() - before == len(chosen)
    assert connector.bucket().refused > 0


@pytest.mark.parametrize("kind", ["drop_before_commit", "server_error", "throttle"])
def test_reading_survives_passing_faults(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row], kind: str
) -> None:
    store.fault(kind, count=2)

    assert len(connector.read_prices([row["external_id"] for row in rows], "USD")) == len(rows)


def test_a_store_that_stays_down_is_an_upstream_error(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    store.fault("server_error")

    with pytest.raises(Upstream) as caught:
        connector.read_prices([rows[0]["external_id"]], "USD")

    assert (caught.value.code, caught.value.retryable) == ("upstream.unavailable", True)


def test_a_drained_bucket_is_refilled_before_the_next_call(
    connector: ShopifyConnector, store: Sandbox, rows: list[Row]
) -> None:
    connector.write_prices([raised(rows[700], by=3)])
    store.control("POST", "throttle")

    results = connector.write_prices([raised(row, by=5) for row in rows[700:720]])

    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}


def test_prices_edited_by_hand_are_seen(connector: ShopifyConnector, store: Sandbox, rows: list[Row]) -> None:
    external_id = rows[800]["external_id"]
    store.edit(external_id, price="123.45", compareAtPrice=None)

    price = connector.read_prices([external_id], "USD")[external_id]

    assert (price.unit_amount, price.compare_at, price.fault) == (12345, None, None)


def test_a_store_without_decimals_is_read_and_written_in_its_currency(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--currency", "JPY", "--products", "20", "--bulk-delay", "0") as store:
        connector = store.connect()
        row = read_rows(connector, tmp_path)[0]
        writes = [PriceWrite(row["external_id"], row["group_external_id"], "JPY", 1200, 1500, write_compare_at=True)]
        results = connector.write_prices(writes)
        prices = connector.read_prices([row["external_id"]], "JPY")
        with pytest.raises(Upstream, match="currency is JPY, but the price list is in USD"):
            connector.read_prices([row["external_id"]], "USD")
        connector.close()

    assert results[0].outcome is WriteOutcome.WRITTEN
    assert prices[row["external_id"]].unit_amount == 1200


def test_on_a_slow_plan_only_the_bucket_limits_and_hardly_a_call_is_refused(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--plan", "standard", "--products", "300", "--bulk-delay", "0") as store:
        connector = store.connect()
        rows = read_rows(connector, tmp_path)
        store.control("POST", "throttle")
        connector.check()  # learns that the bucket was drained behind its back
        before, started = store.control("GET", "stats"), time.monotonic()
        results = connector.write_prices([raised(row) for row in rows])
        seconds, after = time.monotonic() - started, store.control("GET", "stats")
        connector.close()

    rate = 100
    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}
    assert after["points_spent"] - before["points_spent"] >= 0.97 * rate * seconds
    assert after["throttled"] - before["throttled"] <= 0.01 * (after["calls"] - before["calls"])
