"""Which calls a set of writes becomes, and what each row gets whatever happens to its call."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from scripted_store import Reply, ScriptedStore, SentCall, answers, breaks, fails, refuses

from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.writes import FAILURES_BEFORE_STOP, PriceWriter
from calibr.core.errors import Invalid

UPDATE = "CalibrUpdatePrices"
Write = Callable[[list[PriceWrite]], list[WriteResult]]


def write(external_id: int, group: int = 1, **changes: object) -> PriceWrite:
    values: dict[str, Any] = {
        "external_id": str(external_id), "group_external_id": str(group), "currency": "USD",
        "unit_amount": 1999, "compare_at": None, "write_compare_at": False,
    }  # fmt: skip
    return PriceWrite(**(values | changes))


def accepts(call: SentCall) -> httpx2.Response:
    """Answer as a store that wrote everything."""
    shown = [{"compareAtPrice": None, **row} for row in call.variables["variants"]]
    return answers({"productVariantsBulkUpdate": {"productVariants": shown, "userErrors": []}})(call)


@pytest.fixture
def send(store: ScriptedStore, client: ShopifyClient, pool: ThreadPoolExecutor) -> Write:
    store.on(UPDATE, accepts)
    writer = PriceWriter(client, ShopCurrency(client), pool)
    return lambda writes: writer.write(writes, client.throttle.clock() + 5)


def outcomes(results: list[WriteResult]) -> list[tuple[WriteOutcome, str | None]]:
    return [(result.outcome, result.code) for result in results]


def test_one_call_per_product_with_at_most_250_rows(store: ScriptedStore, send: Write) -> None:
    writes = [write(n, group=7) for n in range(1, 602)] + [write(1000, group=8), write(1001, group=8)]

    results = send(writes)

    assert [result.external_id for result in results] == [w.external_id for w in writes]
    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}
    sizes = sorted((call.variables["productId"], len(call.variables["variants"])) for call in store.sent(UPDATE))
    assert sizes == [
        ("gid://shopify/Product/7", 101), ("gid://shopify/Product/7", 250), ("gid://shopify/Product/7", 250),
        ("gid://shopify/Product/8", 2),
    ]  # fmt: skip


def test_amounts_go_as_decimal_text_and_compare_at_has_three_values(store: ScriptedStore, send: Write) -> None:
    send([
        write(1, unit_amount=5),
        write(2, unit_amount=100_000, compare_at=None, write_compare_at=True),
        write(3, unit_amount=0, compare_at=0, write_compare_at=True),
        write(4, compare_at=2500, write_compare_at=False),
    ])  # fmt: skip

    rows = {row.pop("id"): row for row in store.sent(UPDATE)[0].variables["variants"]}
    assert list(rows.values()) == [
        {"price": "0.05"},
        {"price": "1000.00", "compareAtPrice": None},
        {"price": "0.00", "compareAtPrice": "0.00"},
        {"price": "19.99"},
    ]


def test_a_listing_that_comes_twice_is_refused_before_anything_is_sent(store: ScriptedStore, send: Write) -> None:
    with pytest.raises(Invalid) as caught:
        send([write(1), write(2), write(1, group=2)])

    assert caught.value.code == "connector.duplicate_write"
    assert "external id 1" in caught.value.message
    assert store.calls == []


@pytest.mark.parametrize(
    "changes",
    [{"unit_amount": -1}, {"compare_at": -1}, {"external_id": "gid://shopify/ProductVariant/1"}, {"external_id": "1,2"},
     {"group_external_id": ""}, {"group_external_id": "07"}],
)  # fmt: skip
def test_a_row_that_must_never_leave_is_rejected_alone(
    store: ScriptedStore, send: Write, changes: dict[str, Any]
) -> None:
    results = send([replace(write(1), **changes), write(2)])

    assert outcomes(results) == [(WriteOutcome.REJECTED, "invalid_row"), (WriteOutcome.WRITTEN, None)]
    assert len(store.sent(UPDATE)[0].variables["variants"]) == 1


def test_another_currency_than_the_store_means_is_never_sent(store: ScriptedStore, send: Write) -> None:
    store.on("CalibrShop", {"shop": {"name": "Test", "currencyCode": "JPY"}})

    results = send([write(1), write(2, currency="JPY")])

    assert outcomes(results) == [(WriteOutcome.REJECTED, "currency_mismatch"), (WriteOutcome.WRITTEN, None)]
    assert [row["price"] for row in store.sent(UPDATE)[0].variables["variants"]] == ["1999"]


def test_the_currency_is_asked_once(store: ScriptedStore, send: Write) -> None:
    send([write(1)])
    send([write(2)])

    assert len(store.sent("CalibrShop")) == 1


def test_nothing_is_sent_if_the_currency_cannot_be_learned(store: ScriptedStore, send: Write) -> None:
    store.on("CalibrShop", fails(401))

    results = send([write(1), write(2, group=2)])

    assert outcomes(results) == [(WriteOutcome.RETRY, "upstream.unauthorized")] * 2
    assert store.sent(UPDATE) == []


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (breaks(httpx2.ConnectError), (WriteOutcome.RETRY, "upstream.unreachable")),
        (breaks(httpx2.ConnectTimeout), (WriteOutcome.RETRY, "upstream.unreachable")),
        (breaks(httpx2.ReadTimeout), (WriteOutcome.UNKNOWN, "upstream.unreachable")),
        (breaks(httpx2.ReadError), (WriteOutcome.UNKNOWN, "upstream.unreachable")),
        (breaks(httpx2.RemoteProtocolError), (WriteOutcome.UNKNOWN, "upstream.unreachable")),
        (breaks(httpx2.WriteError), (WriteOutcome.UNKNOWN, "upstream.unreachable")),
        (fails(502), (WriteOutcome.UNKNOWN, "upstream.unavailable")),
        (fails(401), (WriteOutcome.RETRY, "upstream.unauthorized")),
        (fails(402), (WriteOutcome.RETRY, "upstream.store_frozen")),
        (refuses("ACCESS_DENIED"), (WriteOutcome.RETRY, "upstream.unauthorized")),
        (refuses("INVALID_VARIABLE"), (WriteOutcome.REJECTED, "upstream.protocol")),
        (refuses("INTERNAL_SERVER_ERROR"), (WriteOutcome.UNKNOWN, "upstream.unavailable")),
        (answers({"productVariantsBulkUpdate": None}), (WriteOutcome.UNKNOWN, "upstream.protocol")),
        (answers({}), (WriteOutcome.UNKNOWN, "upstream.protocol")),
    ],
)
def test_a_failed_call_is_sent_once_and_says_what_may_have_happened(
    store: ScriptedStore, send: Write, reply: Reply, expected: tuple[WriteOutcome, str]
) -> None:
    store.on(UPDATE, reply)

    assert outcomes(send([write(1), write(2)])) == [expected] * 2
    assert len(store.sent(UPDATE)) == 1


def test_the_rest_of_the_rows_is_written_when_one_call_fails(store: ScriptedStore, send: Write) -> None:
    def fails_for_product_2(call: SentCall) -> httpx2.Response:
        return fails(500)(call) if call.variables["productId"].endswith("/2") else accepts(call)

    store.on(UPDATE, fails_for_product_2)

    results = send([write(n, group=n) for n in (1, 2, 3)])

    assert [r.outcome for r in results] == [WriteOutcome.WRITTEN, WriteOutcome.UNKNOWN, WriteOutcome.WRITTEN]


@pytest.mark.parametrize("reply", [refuses("THROTTLED"), fails(429, **{"retry-after": "0"})])
def test_a_throttled_call_waits_and_goes_again(store: ScriptedStore, send: Write, reply: Reply) -> None:
    store.on(UPDATE, reply, reply, accepts)

    assert outcomes(send([write(1)])) == [(WriteOutcome.WRITTEN, None)]
    assert len(store.sent(UPDATE)) == 3


def test_a_store_that_keeps_throttling_gives_rows_back_with_the_time_to_wait(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, fails(429, **{"retry-after": "600"}))

    (result,) = send([write(1)])

    assert (result.outcome, result.code, result.retry_after_s) == (WriteOutcome.RETRY, "upstream.throttled", 600)


def test_what_is_too_large_is_halved_until_it_passes(store: ScriptedStore, send: Write) -> None:
    def takes_three(call: SentCall) -> httpx2.Response:
        few = len(call.variables["variants"]) <= 3
        return accepts(call) if few else refuses("MAX_COST_EXCEEDED")(call)

    store.on(UPDATE, takes_three)

    results = send([write(n) for n in range(1, 11)])

    assert {result.outcome for result in results} == {WriteOutcome.WRITTEN}


def test_one_row_that_is_too_large_is_rejected(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, refuses("MAX_COST_EXCEEDED"))

    assert outcomes(send([write(1), write(2)])) == [(WriteOutcome.REJECTED, "upstream.protocol")] * 2


def test_a_dead_token_stops_the_rest_at_once(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, fails(401))

    results = send([write(n, group=n) for n in range(1, 101)])

    assert outcomes(results) == [(WriteOutcome.RETRY, "upstream.unauthorized")] * 100
    assert len(store.sent(UPDATE)) < 20


def test_failures_in_a_row_stop_the_rest_which_is_certainly_unsent(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, fails(503))

    results = send([write(n, group=n) for n in range(1, 101)])

    sent = len(store.sent(UPDATE))
    assert FAILURES_BEFORE_STOP <= sent < 20
    assert [result.outcome for result in results].count(WriteOutcome.UNKNOWN) == sent
    assert [result.outcome for result in results].count(WriteOutcome.RETRY) == 100 - sent


def test_nothing_starts_after_the_deadline(
    store: ScriptedStore, client: ShopifyClient, pool: ThreadPoolExecutor
) -> None:
    store.on(UPDATE, accepts)
    writer = PriceWriter(client, currency := ShopCurrency(client), pool)
    currency.note({"currencyCode": "USD"})

    results = writer.write([write(1)], client.throttle.clock())

    assert outcomes(results) == [(WriteOutcome.RETRY, "upstream.throttled")]
    assert store.calls == []


def test_no_writes_are_no_calls(store: ScriptedStore, send: Write) -> None:
    assert send([]) == []
    assert store.calls == []
