"""Markets for a generated shop: each with its countries, a catalog, a price list, and a few fixed prices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from calibr_sandbox.markets.catalog_writes import insert_catalog
from calibr_sandbox.markets.list_writes import insert_list
from calibr_sandbox.markets.market_parts import Parts
from calibr_sandbox.markets.market_writes import insert_market
from calibr_sandbox.markets.names import COUNTRY_NAMES
from calibr_sandbox.markets.rows import CatalogRow, MarketRow, PriceListRow
from calibr_sandbox.money import decimals_of, to_shop_text
from calibr_sandbox.store import Store

_EURO: Final = (
    "AT",
    "BE",
    "DE",
    "EE",
    "ES",
    "FI",
    "FR",
    "GR",
    "IE",
    "IT",
    "LT",
    "LU",
    "LV",
    "MT",
    "NL",
    "PT",
    "SI",
    "SK",
)
_REGIONS: Final = {"EU": _EURO, "UK": ("GB",)}
_FIXED_EVERY: Final = 10
"""One variant in so many has a fixed price in a list."""
_FIXED_FACTOR: Final = Decimal("1.1")
_MIN_PERCENT: Final = -100
_MAX_PERCENT: Final = 1000


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """A market to be made. `percent` is how much dearer (below zero: cheaper) than in the shop its prices are."""

    name: str
    currency: str
    countries: tuple[str, ...]
    percent: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse an unknown currency, a market without countries, a percentage that no price list can have."""
        decimals_of(self.currency)
        if not self.name or not self.countries:
            raise ValueError(f"markets: {self.name!r} needs a name and at least one country")
        if not _MIN_PERCENT <= self.percent <= _MAX_PERCENT:
            raise ValueError(f"markets: {self.percent} % is outside of {_MIN_PERCENT} to {_MAX_PERCENT}")


def read_markets(text: str) -> tuple[MarketSpec, ...]:
    """Read `NAME:CURRENCY` or `NAME:CURRENCY:PERCENT`, separated by commas. Raises ValueError naming the part.

    A name is a country code, EU (the countries of the euro) or UK.
    """
    return tuple(_read_one(part.strip()) for part in text.split(","))


def store_markets(store: Store, specs: Sequence[MarketSpec]) -> int:
    """Store the markets in one transaction and return how many there are. Every tenth variant gets a fixed price."""
    with store.transaction() as connection:
        for place, spec in enumerate(specs):
            pricing = ("ADD_DUTIES_AT_CHECKOUT", "INCLUDES_TAXES_IN_PRICE_BASED_ON_COUNTRY")
            draft = MarketRow(0, spec.name, spec.name.lower(), "ACTIVE", spec.currency, None, 0, 1, *pricing)
            market = insert_market(connection, draft, Parts(spec.countries))
            kind = "PERCENTAGE_DECREASE" if spec.percent < 0 else "PERCENTAGE_INCREASE"
            adjustment = (kind, f"{abs(spec.percent):f}", "ADJUSTED")
            price_list = insert_list(connection, PriceListRow(0, spec.name, spec.currency, *adjustment))
            insert_catalog(connection, CatalogRow(0, "MARKET", spec.name, "ACTIVE", price_list.id, None), [market.id])
            rows = _fixed_prices(store, price_list, place % _FIXED_EVERY)
            connection.executemany("INSERT INTO fixed_price VALUES (?, ?, ?, ?)", rows)
    return len(specs)


def _fixed_prices(store: Store, price_list: PriceListRow, remainder: int) -> Iterator[tuple[object, ...]]:
    sql = "SELECT id, price, compare_at_price FROM variant WHERE id % ? = ? ORDER BY id"
    for number, *amounts in store.fetch_all(sql, (_FIXED_EVERY, remainder)):
        texts = (
            None if each is None else to_shop_text(Decimal(each) * _FIXED_FACTOR, price_list.currency)
            for each in amounts
        )
        yield (price_list.id, number, *texts)


def _read_one(part: str) -> MarketSpec:
    name, _, rest = part.partition(":")
    currency, _, percent = rest.partition(":")
    countries = _REGIONS.get(name) or ((name,) if name in COUNTRY_NAMES else ())
    if not currency or not countries:
        raise ValueError(
            f"markets: {part!r} is not NAME:CURRENCY or NAME:CURRENCY:PERCENT; the name is a country code, EU or UK"
        )
    try:
        return MarketSpec(name, currency, countries, Decimal(percent or 0))
    except InvalidOperation as error:
        raise ValueError(f"markets: {percent!r} in {part!r} is no percentage") from error
