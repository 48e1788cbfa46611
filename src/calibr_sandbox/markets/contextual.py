"""What a buyer in a country or at a company location pays.

A fixed price overrides every adjustment; of several fixed prices, and of several adjusted ones, the lowest holds.
A price that is not fixed is converted to the market's currency by its manual rate, one to one without a rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.markets.price_lists import adjusted, adjusted_compare_at, find_price_list, fixed_prices
from calibr_sandbox.markets.reads import catalogs_in, find_location, markets_for_country
from calibr_sandbox.markets.rows import CatalogRow, ContextPrice, FixedPrice, PriceListRow
from calibr_sandbox.money import to_shop_text
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.store import Reader


@dataclass(frozen=True, slots=True)
class Context:
    """Where a buyer is: the currency that is shown, what converts the shop's prices to it, the price lists in force."""

    currency: str
    rate: Decimal
    lists: Sequence[PriceListRow]


def read_context(store: Reader, context: dict[str, Any]) -> Context:
    """Find out what applies in a context. Raises Shopify's error for one that names nothing."""
    country, location = context.get("country"), context.get("companyLocationId")
    if country is None and location is None and context.get("locationId") is None:
        raise BadRequestError("The context must have a country, a companyLocationId or a locationId.")
    lists: list[PriceListRow] = []
    currency, rate = store.currency, Decimal(1)
    for market in markets_for_country(store, country) if country is not None else ():
        if not lists:
            currency, rate = market.base_currency, Decimal(market.manual_rate or 1)
        lists += _lists(store, catalogs_in(store, "MARKET", market.id))
    if location is not None:
        number = number_of(location, "CompanyLocation")
        if find_location(store, number) is None:
            raise BadRequestError(f"The company location {location} does not exist.")
        own = _lists(store, catalogs_in(store, "COMPANY_LOCATION", number))
        # The catalog of a location is for that buyer: it goes before what holds in the country.
        lists = own or lists
        currency = own[0].currency if own else currency
    return Context(currency, rate if currency != store.currency else Decimal(1), lists)


def price_in(store: Reader, context: Context, variants: Sequence[VariantRow]) -> list[ContextPrice]:
    """Price variants for a buyer, in the order given."""
    numbers = [row.id for row in variants]
    fixed = [(each, fixed_prices(store, each.id, numbers)) for each in context.lists]
    return [_price(context, variant, fixed) for variant in variants]


def _price(
    context: Context, variant: VariantRow, fixed: Sequence[tuple[PriceListRow, dict[int, FixedPrice]]]
) -> ContextPrice:
    own = [
        ContextPrice(
            variant, price_list.currency, prices[variant.id].price, prices[variant.id].compare_at_price, price_list
        )
        for price_list, prices in fixed
        if variant.id in prices
    ]
    # Amounts of different currencies cannot be compared: those of the context's currency go first.
    chosen = [price for price in own if price.currency == context.currency] or own
    relative = [_relative(context, variant, price_list) for price_list in context.lists]
    return min(chosen or relative or [_relative(context, variant, None)], key=lambda price: Decimal(price.price))


def _relative(context: Context, variant: VariantRow, price_list: PriceListRow | None) -> ContextPrice:
    if price_list is None:
        price, compare_at = Decimal(variant.price), variant.compare_at_price
        amounts = (price, None if compare_at is None else Decimal(compare_at))
    else:
        amounts = (
            adjusted(price_list, variant.price) or Decimal(0),
            adjusted_compare_at(price_list, variant.compare_at_price),
        )
    texts = [None if each is None else to_shop_text(each * context.rate, context.currency) for each in amounts]
    return ContextPrice(variant, context.currency, texts[0] or "0", texts[1], price_list)


def _lists(store: Reader, catalogs: Sequence[CatalogRow]) -> list[PriceListRow]:
    numbers = [row.price_list_id for row in catalogs if row.status == "ACTIVE" and row.price_list_id is not None]
    found = (find_price_list(store, number) for number in numbers)
    return [price_list for price_list in found if price_list is not None]
