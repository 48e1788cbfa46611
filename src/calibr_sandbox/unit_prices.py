"""The price of a unit: what a kilo or a liter of a variant costs, from its price and its measurement."""

from decimal import Decimal
from typing import Any, Final

from calibr_sandbox.money import money_v2_amount, to_shop_text
from calibr_sandbox.rows import Money, VariantRow
from calibr_sandbox.variant_extras import read_extra

_SIZES: Final = {
    "WEIGHT": {"MG": "0.001", "G": "1", "KG": "1000", "OZ": "28.349523125", "LB": "453.59237"},
    "VOLUME": {
        "ML": "1",
        "CL": "10",
        "L": "1000",
        "M3": "1000000",
        "FLOZ": "29.5735295625",
        "PT": "473.176473",
        "QT": "946.352946",
        "GAL": "3785.411784",
    },
    "LENGTH": {"MM": "1", "CM": "10", "M": "1000", "IN": "25.4", "FT": "304.8", "YD": "914.4"},
    "AREA": {"M2": "1", "FT2": "0.09290304"},
    "COUNT": {"ITEM": "1"},
}
"""How much of the smallest unit of its type each unit is."""
_BY_UNIT: Final = {unit: (kind, Decimal(size)) for kind, units in _SIZES.items() for unit, size in units.items()}
_NOTHING: Final = ("UNKNOWN", Decimal(0))


def measured_type(measurement: dict[str, Any]) -> str | None:
    """Name what the units of a measurement measure; None without a unit."""
    unit = measurement.get("quantityUnit")
    return None if unit is None else _BY_UNIT.get(unit, _NOTHING)[0]


def unit_price(variant: VariantRow, price: str, currency: str) -> Money | None:
    """Work out what the reference amount of a variant costs at a price; None without a measurement that tells."""
    measurement = read_extra(variant.extra).get("unitPriceMeasurement") or {}
    quantity, reference = (_amount(measurement, name) for name in ("quantity", "reference"))
    if quantity[0] != reference[0] or quantity[1] <= 0 or reference[1] <= 0:
        return None
    amount = Decimal(price) * reference[1] / quantity[1]
    return Money(money_v2_amount(to_shop_text(amount, currency)), currency)


def _amount(measurement: dict[str, Any], name: str) -> tuple[str, Decimal]:
    kind, size = _BY_UNIT.get(str(measurement.get(f"{name}Unit")), _NOTHING)
    return kind, size * Decimal(str(measurement.get(f"{name}Value") or 0))
