"""What a price update checks, and what a good row changes."""

from decimal import Decimal
from typing import Any

import pytest

from calibr_sandbox.rows import VariantRow
from calibr_sandbox.variant_rules import check_rows

GID = "gid://shopify/ProductVariant/"
HUGE = Decimal(10) ** 18


def _row(number: int) -> VariantRow:
    return VariantRow(
        id=number, product_id=1, position=number, title="Red", sku="OLD", barcode=None, price="11.00",
        compare_at_price="15.00", cost="4.00", option_values='["Red"]', created_at=0, updated_at=0, extra="{}",
        product_title="Shirt", product_options='[{"name":"Color","values":["Red"]}]',
    )  # fmt: skip


KNOWN = {number: _row(number) for number in range(1, 13)}


def _check(*entries: dict[str, Any]) -> tuple[list[VariantRow], list[tuple[tuple[str, ...], str, str | None]]]:
    checked = check_rows(list(entries), KNOWN, "USD")
    return checked.updates, [(e.field, e.message, e.code) for e in checked.errors]


def test_an_omitted_field_stays_and_a_null_clears() -> None:
    kept, cleared, changed = _check(
        {"id": f"{GID}1", "price": Decimal("9.5")},
        {"id": f"{GID}2", "compareAtPrice": None, "inventoryItem": {"cost": None, "sku": None}},
        {"id": f"{GID}3", "compareAtPrice": Decimal(20), "inventoryItem": {"cost": Decimal("3.333")}, "barcode": ""},
    )[0]

    assert (kept.price, kept.compare_at_price, kept.cost, kept.sku) == ("9.50", "15.00", "4.00", "OLD")
    assert (cleared.price, cleared.compare_at_price, cleared.cost, cleared.sku) == ("11.00", None, None, None)
    assert (changed.compare_at_price, changed.cost, changed.barcode) == ("20.00", "3.33", None)


@pytest.mark.parametrize(
    ("fields", "path", "message", "code"),
    [
        ({"price": Decimal(-1)}, ("price",), "Price must be greater than or equal to 0", "GREATER_THAN_OR_EQUAL_TO"),
        ({"price": HUGE}, ("price",), "Price must be less than 1000000000000000000", "INVALID_INPUT"),
        ({"price": None}, ("price",), "Price can't be blank", "BLANK"),
        ({"compareAtPrice": HUGE}, ("compareAtPrice",), "must be less than 1000000000000000000", "INVALID_INPUT"),
        ({"barcode": "1" * 256}, ("barcode",), "Barcode is too long (maximum is 255 characters)", "INVALID_INPUT"),
        ({"inventoryItem": {"sku": "S" * 256}}, (), "SKU is too long (maximum is 255 characters)", "INVALID_INPUT"),
    ],
)
def test_a_bad_value_is_refused_at_its_field(
    fields: dict[str, Any], path: tuple[str, ...], message: str, code: str
) -> None:
    updates, errors = _check({"id": f"{GID}1", **fields})

    assert updates == []
    assert errors == [(("variants", "0", *path), message, code)]


def test_a_bad_cost_is_refused_twice() -> None:
    errors = _check({"id": f"{GID}1", "inventoryItem": {"cost": Decimal("-0.01")}})[1]

    assert errors == [
        (("variants", "0"), "must be greater than or equal to 0", None),
        (
            ("variants", "0", "inventoryItem", "cost"),
            "Cost per item must be greater than or equal to 0",
            "GREATER_THAN_OR_EQUAL_TO",
        ),
    ]


def test_a_row_that_names_no_variant_is_refused_before_its_values() -> None:
    errors = _check({"price": Decimal(-1)}, {"id": f"{GID}99"}, {"id": "gid://shopify/Product/1"})[1]

    assert errors == [
        (("variants", "0", "id"), "Product variant is missing ID attribute", "PRODUCT_VARIANT_ID_MISSING"),
        (("variants", "1", "id"), "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST"),
        (("variants", "2", "id"), "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST"),
    ]


def test_errors_are_sorted_by_field_as_text_and_not_by_row() -> None:
    entries = [{"id": f"{GID}{number}", "price": Decimal(1)} for number in range(1, 12)]
    entries[10] |= {"price": Decimal(-1), "compareAtPrice": HUGE}
    entries[2] |= {"price": Decimal(-1)}

    updates, errors = _check(*entries)

    assert [field for field, _, _ in errors] == [
        ("variants", "10", "compareAtPrice"),
        ("variants", "10", "price"),
        ("variants", "2", "price"),
    ]
    assert len(updates) == 9


def test_a_variant_that_is_sent_twice_keeps_the_last_value_and_all_fields() -> None:
    updates = _check(
        {"id": f"{GID}1", "price": Decimal(1)}, {"id": f"{GID}1", "compareAtPrice": None}, {"id": f"{GID}1"}
    )[0]

    assert [(row.price, row.compare_at_price) for row in updates] == [("1.00", "15.00"), ("1.00", None), ("1.00", None)]
