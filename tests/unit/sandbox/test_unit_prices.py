"""What a kilo or a liter costs: from the price and the measurement, or not at all."""

from typing import Any

import orjson
import pytest

from calibr_sandbox.rows import Money, VariantRow
from calibr_sandbox.unit_prices import measured_type, unit_price


def _variant(measurement: dict[str, Any] | None) -> VariantRow:
    extra = orjson.dumps({"unitPriceMeasurement": measurement}).decode()
    return VariantRow(1, 1, 1, "Red", None, None, "1", None, None, "[]", 0, 0, extra, "Hat", "[]")


def _measured(quantity: object, unit: str | None, reference: object, per: str | None) -> dict[str, Any]:
    return {"quantityValue": quantity, "quantityUnit": unit, "referenceValue": reference, "referenceUnit": per}


@pytest.mark.parametrize(
    ("measurement", "price", "currency", "amount"),
    [
        (_measured(500.0, "G", 1, "KG"), "4.99", "USD", "9.98"),
        (_measured(0.75, "L", 100, "ML"), "12.00", "EUR", "1.6"),
        (_measured(3, "ITEM", 1, "ITEM"), "10.00", "USD", "3.33"),
        (_measured(2, "FT", 1, "YD"), "1.00", "USD", "1.5"),
        (_measured(2, "M2", 1, "M2"), "101", "JPY", "51.0"),
    ],
)
def test_the_price_of_a_unit(measurement: dict[str, Any], price: str, currency: str, amount: str) -> None:
    assert unit_price(_variant(measurement), price, currency) == Money(amount, currency)


@pytest.mark.parametrize(
    "measurement",
    [
        None,
        _measured(500, "G", 1, "L"),
        _measured(0, "G", 1, "KG"),
        _measured(500, None, 1, "KG"),
        _measured(500, "UNKNOWN", 1, "UNKNOWN"),
    ],
)
def test_a_measurement_that_does_not_tell_has_no_price(measurement: dict[str, Any] | None) -> None:
    assert unit_price(_variant(measurement), "5.00", "USD") is None


def test_units_measure_something() -> None:
    found = [measured_type({"quantityUnit": unit}) for unit in ("KG", "CL", "YD", "FT2", "ITEM", "UNKNOWN", None)]

    assert found == ["WEIGHT", "VOLUME", "LENGTH", "AREA", "COUNT", "UNKNOWN", None]
