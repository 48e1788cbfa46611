"""Prices with their currency as answers show them, and in which context a buyer is asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from calibr.connectors.port import RemotePrice
from calibr.connectors.shopify.documents import Document
from calibr.connectors.shopify.money import Unreadable, read_amount
from calibr.connectors.shopify.shapes import as_object
from calibr.core.errors import Fault, Invalid
from calibr.core.money import is_currency

LISTS_AT_ONCE: Final = 20
"""Contexts that one export asks for."""
COUNTRIES_AT_ONCE: Final = 8
"""Contexts that one call asks for."""

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_PRICING: Final = "price { amount currencyCode } compareAtPrice { amount currencyCode }"


@dataclass(frozen=True, slots=True)
class BuyerContext:
    """Where a buyer is: in a country (ISO 3166 alpha-2), or at a company's location (a global id)."""

    country: str | None = None
    location: str | None = None

    @property
    def variable(self) -> dict[str, str]:
        """As the variable of a call."""
        return {"country": self.country} if self.country is not None else {"companyLocationId": self.location or ""}

    @property
    def literal(self) -> str:
        """As a literal, for exports take no variables. Both values were checked when they were read."""
        if self.country is not None:
            return f"{{country: {self.country}}}"
        return f'{{companyLocationId: "{self.location}"}}'


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """A price in minor units of the currency that it is shown in."""

    currency: str
    unit_amount: int
    compare_at: int | None


def read_shown(pricing: object) -> ShownPrice | Unreadable:
    """Read the fields `price` and `compareAtPrice` of a price in a list or a context."""
    shown = as_object(pricing, "price")
    price = read_money(shown.get("price"))
    compare_at = None if shown.get("compareAtPrice") is None else read_money(shown.get("compareAtPrice"))
    if isinstance(price, Unreadable):
        return price
    if isinstance(compare_at, Unreadable):
        return compare_at
    if compare_at is not None and compare_at.currency != price.currency:
        return Unreadable(f"the compare-at price is in {compare_at.currency}, the price in {price.currency}")
    return ShownPrice(price.currency, price.amount, None if compare_at is None else compare_at.amount)


@dataclass(frozen=True, slots=True)
class Money:
    """Minor units of a currency."""

    currency: str
    amount: int


def read_money(money: object) -> Money | Unreadable:
    """Read a MoneyV2."""
    shown = as_object(money, "money")
    currency = shown.get("currencyCode")
    if not isinstance(currency, str) or not is_currency(currency):
        return Unreadable(f"{str(currency)[:8]!r} is not an ISO 4217 currency")
    amount = read_amount(shown.get("amount"), currency)
    return amount if isinstance(amount, Unreadable) else Money(currency, amount)


def in_currency(external_id: str, shown: ShownPrice | Unreadable, currency: str, *, relative: bool) -> RemotePrice:
    """The price of a list in `currency`: in another one, a fixed price is a fault and a relative one is not known."""
    if isinstance(shown, Unreadable):
        return RemotePrice(external_id, currency, None, None, shown.rule, relative)
    if shown.currency == currency:
        return RemotePrice(external_id, currency, shown.unit_amount, shown.compare_at, None, relative)
    fault = None if relative else f"the price is in {shown.currency}, the price list in {currency}"
    return RemotePrice(external_id, currency, None, None, fault, relative)


def alias(place: int) -> str:
    """What the price of this place in a list of contexts is called in an answer."""
    return f"c{place}"


def export_of(contexts: Sequence[BuyerContext]) -> Document:
    """The export of every variant's price in each of these contexts."""
    asked = " ".join(
        f"{alias(place)}: contextualPricing(context: {context.literal}) {{ {_PRICING} }}"
        for place, context in enumerate(contexts)
    )
    name = "CalibrListedPrices"
    return Document(name, f"query {name} {{ productVariants {{ edges {{ node {{ id {asked} }} }} }} }}")


def call_for(countries: int) -> Document:
    """The call for prices in so many countries, which are its variables `c0`, `c1` and so on."""
    places = [alias(place) for place in range(countries)]
    name = f"CalibrMarketPrices{countries}"
    variables = ", ".join(f"${place}: CountryCode!" for place in places)
    asked = " ".join(f"{place}: contextualPricing(context: {{country: ${place}}}) {{ {_PRICING} }}" for place in places)
    nodes = f"nodes(ids: $ids) {{ ... on ProductVariant {{ id {asked} }} }}"
    return Document(name, f"query {name}($ids: [ID!]!, {variables}) {{ {nodes} }}")


def is_country(code: object) -> bool:
    """Whether this looks like a country code."""
    return isinstance(code, str) and _COUNTRY.fullmatch(code) is not None


def require_countries(countries: Sequence[str]) -> None:
    """Raise `Invalid` for what is no country code."""
    wrong = next((code for code in countries if not is_country(code)), None)
    if wrong is not None:
        fault = Fault("$.countries", str(wrong)[:40], "must be a country code of two capital letters, such as DE")
        raise Invalid("connector.country", f"country {wrong[:40]!r} {fault.rule}.", faults=(fault,))
