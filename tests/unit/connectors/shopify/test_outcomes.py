"""How a write ended is read from values, never from presence."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from calibr.connectors.port import PriceWrite, WriteOutcome
from calibr.connectors.shopify.errors import CallError, RefusedError
from calibr.connectors.shopify.outcomes import judge, without_answer

RECORDED = "shopify/recorded/2025-01/products/product-variants-bulk-update-parity.json"


def write(
    external_id: str = "1", amount: int = 1999, compare_at: int | None = None, *, touch: bool = True
) -> PriceWrite:
    return PriceWrite(external_id, "9", "USD", amount, compare_at, write_compare_at=touch)


def variant(number: int, price: str, compare_at: str | None = None) -> dict[str, Any]:
    return {"id": f"gid://shopify/ProductVariant/{number}", "price": price, "compareAtPrice": compare_at}


def complaint(field: list[str] | None, code: str | None, message: str = "no") -> dict[str, Any]:
    return {"field": field, "code": code, "message": message}


def payload(variants: object, *errors: dict[str, Any]) -> dict[str, Any]:
    return {"productVariants": variants, "userErrors": list(errors)}


def test_an_equal_value_is_written() -> None:
    (result,) = judge([write()], payload([variant(1, "19.99")]))

    assert result.outcome is WriteOutcome.WRITTEN
    assert result.observed is not None
    assert (result.observed.unit_amount, result.observed.compare_at) == (1999, None)


def test_presence_without_the_value_is_not_written() -> None:
    (result,) = judge([write()], payload([variant(1, "25.00")]))

    assert (result.outcome, result.code) == (WriteOutcome.REJECTED, "not_written")
    assert result.observed is not None
    assert result.observed.unit_amount == 2500


@pytest.mark.parametrize(("shown", "touch", "outcome"), [
    ("0.00", True, WriteOutcome.REJECTED),
    ("25.00", True, WriteOutcome.REJECTED),
    ("25.00", False, WriteOutcome.WRITTEN),
    (None, True, WriteOutcome.WRITTEN),
])  # fmt: skip
def test_a_cleared_compare_at_is_null_and_an_untouched_one_does_not_matter(
    shown: str | None, *, touch: bool, outcome: WriteOutcome
) -> None:
    (result,) = judge([write(touch=touch)], payload([variant(1, "19.99", shown)]))

    assert result.outcome is outcome


def test_errors_belong_to_the_rows_that_their_string_index_names() -> None:
    writes = [write("1"), write("2"), write("3")]
    answer = payload(
        [variant(3, "19.99"), variant(1, "19.99"), variant(2, "5.00")],
        complaint(["variants", "1", "price"], "GREATER_THAN_OR_EQUAL_TO", "Price must be greater than or equal to 0"),
    )

    results = judge(writes, answer)

    assert [result.outcome for result in results] == [
        WriteOutcome.WRITTEN, WriteOutcome.REJECTED, WriteOutcome.WRITTEN,
    ]  # fmt: skip
    assert results[1].code == "GREATER_THAN_OR_EQUAL_TO"
    assert results[1].message == "Price must be greater than or equal to 0"


def test_a_row_with_an_error_is_rejected_even_if_it_happens_to_show_the_asked_value() -> None:
    answer = payload([variant(1, "19.99")], complaint(["variants", "0"], "PRODUCT_SUSPENDED"))

    assert judge([write()], answer)[0].outcome is WriteOutcome.REJECTED


@pytest.mark.parametrize("field", [["productId"], None, ["variants"], ["variants", "x"], ["variants", "7", "price"]])
def test_an_error_about_the_whole_call_rejects_what_is_not_as_asked(field: list[str] | None) -> None:
    answer = payload([variant(1, "19.99"), variant(2, "1.00")], complaint(field, "PRODUCT_DOES_NOT_EXIST"))

    outcomes = [(result.outcome, result.code) for result in judge([write("1"), write("2"), write("3")], answer)]

    assert outcomes == [
        (WriteOutcome.WRITTEN, None),
        (WriteOutcome.REJECTED, "PRODUCT_DOES_NOT_EXIST"),
        (WriteOutcome.REJECTED, "PRODUCT_DOES_NOT_EXIST"),
    ]


def test_a_missing_product_answers_with_nulls() -> None:
    answer = payload(None, complaint(["productId"], "PRODUCT_DOES_NOT_EXIST", "Product does not exist"))

    assert judge([write()], answer)[0].code == "PRODUCT_DOES_NOT_EXIST"


@pytest.mark.parametrize("variants", [None, [], [None], [variant(2, "19.99")]])
def test_a_row_that_the_answer_does_not_show_is_unknown(variants: object) -> None:
    (result,) = judge([write()], payload(variants))

    assert (result.outcome, result.code) == (WriteOutcome.UNKNOWN, "not_shown")


def test_a_value_that_fits_no_amount_is_unknown() -> None:
    (result,) = judge([write()], payload([variant(1, "19.999")]))

    assert (result.outcome, result.code) == (WriteOutcome.UNKNOWN, "upstream.protocol")


@pytest.mark.parametrize(("shown", "outcome"), [
    ("5.00", WriteOutcome.RETRY), ("19.99", WriteOutcome.UNKNOWN), (None, WriteOutcome.UNKNOWN),
])  # fmt: skip
def test_a_passing_error_is_retried_only_if_certainly_nothing_was_written(
    shown: str | None, outcome: WriteOutcome
) -> None:
    variants = [] if shown is None else [variant(1, shown)]
    answer = payload(variants, complaint(["variants", "0"], "INTERNAL_ERROR"))

    assert judge([write()], answer)[0].outcome is outcome


def test_the_first_of_several_errors_of_a_row_is_reported() -> None:
    answer = payload(
        [variant(1, "5.00")],
        complaint(["variants", "0"], "INVALID_INPUT"),
        complaint(["variants", "0", "price"], "TOO_LONG"),
    )

    assert judge([write()], answer)[0].code == "INVALID_INPUT"


@pytest.mark.parametrize("answer", [None, [], {"userErrors": None}, {"productVariants": [7], "userErrors": []}])
def test_another_shape_is_a_protocol_error_that_may_have_written(answer: object) -> None:
    with pytest.raises(CallError) as caught:
        judge([write()], answer)

    assert caught.value.maybe_executed


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CallError("upstream.unreachable", "gone", retryable=True, maybe_executed=True), WriteOutcome.UNKNOWN),
        (CallError("upstream.unreachable", "gone", retryable=True), WriteOutcome.RETRY),
        (CallError("upstream.unauthorized", "token"), WriteOutcome.RETRY),
        (RefusedError("upstream.protocol", "nonsense"), WriteOutcome.REJECTED),
    ],
)
def test_without_an_answer_the_error_decides_for_all_rows(error: CallError, outcome: WriteOutcome) -> None:
    results = without_answer([write("1"), write("2")], error)

    assert [(result.outcome, result.code, result.observed) for result in results] == [(outcome, error.code, None)] * 2


def test_reads_the_recorded_answer_of_a_real_store() -> None:
    shared = Path(os.environ.get("CALIBR_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
    if not (shared / RECORDED).exists():
        pytest.skip("the recorded answers are not here")
    call = json.loads((shared / RECORDED).read_text())["mutation"]
    sent = call["variables"]["variants"]
    writes = [write(row["id"].rpartition("/")[2], 2400, 3000) for row in sent]

    results = judge(writes, call["response"]["data"]["productVariantsBulkUpdate"])

    assert [result.outcome for result in results] == [WriteOutcome.WRITTEN] * len(sent)
