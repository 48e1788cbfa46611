"""Fixed prices of a list: what a set of writes becomes, and what each row gets by the answer."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_store import Reply, ScriptedStore, SentCall, answers, breaks, fails, refuses

from calibr.connectors.port import PriceWrite, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.list_breaks import BreakGuard
from calibr.connectors.shopify.list_writes import ROUNDS, ListPriceWriter, judge_fixed, update_variables
from calibr.core.errors import Invalid

UPDATE = "CalibrUpdateFixedPrices"
FIELD = "priceListFixedPricesUpdate"
VARIANT = "gid://shopify/ProductVariant/"
Write = Callable[[list[PriceWrite]], list[WriteResult]]
WRITTEN, REJECTED, RETRY, UNKNOWN = (
    WriteOutcome.WRITTEN,
    WriteOutcome.REJECTED,
    WriteOutcome.RETRY,
    WriteOutcome.UNKNOWN,
)


def write(external_id: int, unit_amount: int | None = 1999, compare_at: int | None = None) -> PriceWrite:
    return PriceWrite(str(external_id), "1", "EUR", unit_amount, compare_at, write_compare_at=False)


def shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "variant": {"id": entry["variantId"]}}


def payload(
    added: list[dict[str, Any]] | None, removed: list[str] | None, *errors: tuple[list[str] | None, str | None]
) -> dict[str, Any]:
    told = [{"field": field, "code": code, "message": f"says {code}"} for field, code in errors]
    return {"pricesAdded": added, "deletedFixedPriceVariantIds": removed, "userErrors": told}


def accepts(call: SentCall) -> httpx2.Response:
    """Answer as a store that wrote everything."""
    added = [shown(entry) for entry in call.variables["set"]]
    return answers({FIELD: payload(added, call.variables["remove"])})(call)


def refuses_rows(**codes: str | None) -> Reply:
    """Answer as a store that writes nothing as long as one of these variants is in the call."""

    def reply(call: SentCall) -> httpx2.Response:
        errors: list[tuple[list[str] | None, str | None]] = []
        for place, entry in enumerate(call.variables["set"]):
            if (key := "v" + entry["variantId"].rpartition("/")[2]) in codes:
                errors.append((["pricesToAdd", str(place), "variantId"], codes[key]))
        for place, gid in enumerate(call.variables["remove"]):
            if (key := "v" + gid.rpartition("/")[2]) in codes:
                errors.append((["variantIdsToDelete", str(place)], codes[key]))
        return answers({FIELD: payload([], [], *errors)})(call) if errors else accepts(call)

    return reply


class Unguarded(BreakGuard):
    """Of a list without quantity breaks: what the guard asks and finds is tested against the sandbox."""

    def __init__(self) -> None:
        """Needs nothing."""

    def refusals(self, writes: Sequence[PriceWrite], until: float) -> dict[str, WriteResult]:
        del writes, until
        return {}


@pytest.fixture
def send(store: ScriptedStore, client: ShopifyClient) -> Write:
    store.on(UPDATE, accepts)
    writer = ListPriceWriter(client, Unguarded(), "7")
    return lambda writes: writer.write(writes, client.throttle.clock() + 5)


def outcomes(results: list[WriteResult]) -> list[tuple[WriteOutcome, str | None]]:
    return [(result.outcome, result.code) for result in results]


def test_a_call_takes_250_rows_of_any_products_set_and_taken_away_together(store: ScriptedStore, send: Write) -> None:
    writes = [write(n, None if n % 3 == 0 else n) for n in range(1, 502)]

    results = send(writes)

    assert [result.external_id for result in results] == [each.external_id for each in writes]
    assert {result.outcome for result in results} == {WRITTEN}
    sizes = [(len(call.variables["set"]), len(call.variables["remove"])) for call in store.sent(UPDATE)]
    assert [sum(size) for size in sizes] == [250, 250, 1]
    assert {call.variables["id"] for call in store.sent(UPDATE)} == {"gid://shopify/PriceList/7"}


def test_what_is_set_and_what_is_taken_away_is_observed(send: Write) -> None:
    fixed, free = send([write(1, 1999, 2500), write(2, None)])

    assert fixed.observed == RemotePrice("1", "EUR", 1999, 2500)
    assert free.observed == RemotePrice("2", "EUR", None, None, relative=True)


def test_a_compare_at_price_always_goes_along(store: ScriptedStore, send: Write) -> None:
    send([write(1, 5), write(2, 0, 0), write(3, 100_000, 2500)])

    rows = [(row["price"], row["compareAtPrice"]) for row in store.sent(UPDATE)[0].variables["set"]]
    assert rows == [
        ({"amount": "0.05", "currencyCode": "EUR"}, None),
        ({"amount": "0.00", "currencyCode": "EUR"}, {"amount": "0.00", "currencyCode": "EUR"}),
        ({"amount": "1000.00", "currencyCode": "EUR"}, {"amount": "25.00", "currencyCode": "EUR"}),
    ]


AMOUNTS = st.one_of(st.none(), st.just(0), st.integers(0, 10**12))


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=30))
def test_null_never_becomes_zero_and_zero_never_null(amounts: list[tuple[int | None, int | None]]) -> None:
    writes = [
        write(n, price, None if price is None else compare_at) for n, (price, compare_at) in enumerate(amounts, 1)
    ]

    variables = update_variables("7", writes)

    removed = {gid.removeprefix(VARIANT) for gid in variables["remove"]}
    sent = {row["variantId"].removeprefix(VARIANT): row for row in variables["set"]}
    assert removed == {each.external_id for each in writes if each.unit_amount is None}
    assert removed.isdisjoint(sent)
    assert len(removed) + len(sent) == len(writes)
    for each in writes:
        if each.unit_amount is not None:
            compare_at = sent[each.external_id]["compareAtPrice"]
            assert (compare_at is None) == (each.compare_at is None)
            assert int(sent[each.external_id]["price"]["amount"].replace(".", "")) == each.unit_amount
            assert compare_at is None or int(compare_at["amount"].replace(".", "")) == each.compare_at


def test_the_rest_goes_again_without_the_rows_that_were_refused(store: ScriptedStore, send: Write) -> None:
    codes = {"v2": "VARIANT_NOT_FOUND", "v3": "PRICE_LIST_CURRENCY_MISMATCH", "v5": "PRICE_NOT_FIXED", "v6": None}
    store.on(UPDATE, refuses_rows(**codes))

    results = send([write(1), write(2), write(3), write(4, None), write(5, None), write(6)])

    assert outcomes(results) == [
        (WRITTEN, None), (REJECTED, "VARIANT_NOT_FOUND"), (REJECTED, "currency_mismatch"), (WRITTEN, None),
        (RETRY, "PRICE_NOT_FIXED"), (REJECTED, "UNKNOWN"),
    ]  # fmt: skip
    again = store.sent(UPDATE)[1].variables
    assert ([row["variantId"] for row in again["set"]], again["remove"]) == ([f"{VARIANT}1"], [f"{VARIANT}4"])


def test_a_store_that_names_one_row_after_another_is_not_asked_for_ever(store: ScriptedStore, send: Write) -> None:
    def names_the_first(call: SentCall) -> httpx2.Response:
        return answers({FIELD: payload([], [], (["pricesToAdd", "0", "variantId"], "VARIANT_NOT_FOUND"))})(call)

    store.on(UPDATE, names_the_first)

    results = send([write(n) for n in range(1, 9)])

    assert outcomes(results)[:ROUNDS] == [(REJECTED, "VARIANT_NOT_FOUND")] * ROUNDS
    assert outcomes(results)[ROUNDS:] == [(RETRY, "refused_with_others")] * (8 - ROUNDS)
    assert len(store.sent(UPDATE)) == ROUNDS


@pytest.mark.parametrize(
    ("code", "expected"),
    [("PRICE_LIST_NOT_FOUND", REJECTED), ("PRICE_LIST_LOCKED", RETRY), ("INTERNAL_ERROR", UNKNOWN)],
)
def test_a_complaint_about_the_list_is_about_every_row(
    store: ScriptedStore, send: Write, code: str, expected: WriteOutcome
) -> None:
    store.on(UPDATE, answers({FIELD: payload(None, None, (["priceListId"], code))}))

    assert outcomes(send([write(1), write(2, None)])) == [(expected, code)] * 2
    assert len(store.sent(UPDATE)) == 1


def test_what_the_answer_shows_counts_and_not_that_it_shows_it() -> None:
    def seen(number: int, amount: str, compare_at: str | None = None, currency: str = "EUR") -> dict[str, Any]:
        money = {"amount": amount, "currencyCode": currency}
        other = None if compare_at is None else {"amount": compare_at, "currencyCode": currency}
        return {"variant": {"id": f"{VARIANT}{number}"}, "price": money, "compareAtPrice": other}

    added = [seen(1, "19.99"), seen(2, "18.0"), seen(3, "19.99", "25.0"), seen(4, "19.99", currency="USD")]
    answer = payload(added, [])

    results = judge_fixed([write(n) for n in (1, 2, 3, 4, 5)] + [write(6, None)], answer)

    assert outcomes(results) == [
        (WRITTEN, None), (REJECTED, "not_written"), (REJECTED, "not_written"), (UNKNOWN, "upstream.protocol"),
        (UNKNOWN, "not_shown"), (UNKNOWN, "not_shown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (breaks(httpx2.ConnectError), (RETRY, "upstream.unreachable")),
        (breaks(httpx2.ReadTimeout), (UNKNOWN, "upstream.unreachable")),
        (fails(502), (UNKNOWN, "upstream.unavailable")),
        (fails(401), (RETRY, "upstream.unauthorized")),
        (refuses("ACCESS_DENIED"), (RETRY, "upstream.unauthorized")),
        (refuses("INVALID_VARIABLE"), (REJECTED, "upstream.protocol")),
        (answers({FIELD: None}), (UNKNOWN, "upstream.protocol")),
    ],
)
def test_a_failed_call_is_sent_once_and_says_what_may_have_happened(
    store: ScriptedStore, send: Write, reply: Reply, expected: tuple[WriteOutcome, str]
) -> None:
    store.on(UPDATE, reply)

    assert outcomes(send([write(1), write(2, None)])) == [expected] * 2
    assert len(store.sent(UPDATE)) == 1


def test_a_throttled_call_waits_and_goes_again(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, refuses("THROTTLED"), accepts)

    assert outcomes(send([write(1)])) == [(WRITTEN, None)]


def test_what_is_too_large_is_halved(store: ScriptedStore, send: Write) -> None:
    def takes_three(call: SentCall) -> httpx2.Response:
        few = len(call.variables["set"] + call.variables["remove"]) <= 3
        return accepts(call) if few else refuses("MAX_COST_EXCEEDED")(call)

    store.on(UPDATE, takes_three)

    assert {result.outcome for result in send([write(n, n % 2 or None) for n in range(1, 11)])} == {WRITTEN}


def test_a_broken_connection_stops_the_rest(store: ScriptedStore, send: Write) -> None:
    store.on(UPDATE, fails(401))

    results = send([write(n) for n in range(1, 1001)])

    assert outcomes(results) == [(RETRY, "upstream.unauthorized")] * 1000
    assert len(store.sent(UPDATE)) == 1


def test_rows_that_must_never_leave_are_rejected_alone(store: ScriptedStore, send: Write) -> None:
    results = send([write(1, -1), write(2, None, 5), write(3)])

    assert outcomes(results) == [(REJECTED, "invalid_row"), (REJECTED, "invalid_row"), (WRITTEN, None)]
    assert len(store.sent(UPDATE)[0].variables["set"]) == 1


def test_a_listing_that_comes_twice_is_refused_before_anything_is_sent(store: ScriptedStore, send: Write) -> None:
    with pytest.raises(Invalid):
        send([write(1), write(1, None)])

    assert store.calls == []


def test_nothing_starts_after_the_deadline(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on(UPDATE, accepts)

    results = ListPriceWriter(client, Unguarded(), "7").write([write(1)], client.throttle.clock())

    assert outcomes(results) == [(RETRY, "upstream.throttled")]
    assert store.calls == []


def test_recorded_refusals_are_rejections_of_their_rows() -> None:
    """Answers of a real store to this mutation."""
    shared = Path(os.environ.get("CALIBR_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
    path = shared / "shopify" / "recorded" / "2026-04" / "markets" / "price-list-fixed-prices-validation.json"
    if not path.exists():
        pytest.skip("the recorded answers are not here")
    cases = json.loads(path.read_text())["cases"]
    expected = {
        "updatePriceListNotFound": "PRICE_LIST_NOT_FOUND",
        "updateVariantNotFound": "VARIANT_NOT_FOUND",
        "updateCurrencyMismatch": "currency_mismatch",
    }

    for name, code in expected.items():
        (row,) = cases[name]["request"]["variables"]["pricesToAdd"]
        asked = write(int(row["variantId"].removeprefix(VARIANT)), int(row["price"]["amount"].replace(".", "")))
        (result,) = judge_fixed([asked], cases[name]["response"]["payload"]["data"][FIELD])
        assert (result.outcome, result.code) == (REJECTED, code), name
