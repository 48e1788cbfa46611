"""What the fields of markets, catalogs and price lists read from: one immutable tuple per object."""

from decimal import Decimal
from typing import Final, NamedTuple

from calibr_sandbox.rows import VariantRow


class MarketRow(NamedTuple):
    """A market. `manual_rate` is decimal text: units of the base currency for one of the shop's."""

    id: int
    name: str
    handle: str
    status: str
    base_currency: str
    manual_rate: str | None
    local_currencies: int
    rounding_enabled: int
    duties_strategy: str
    tax_strategy: str


class RegionRow(NamedTuple):
    """A country that belongs to a market, with the market's currency."""

    id: int
    market_id: int
    country: str
    currency: str


class CatalogRow(NamedTuple):
    """A catalog for markets (`MARKET`) or for company locations (`COMPANY_LOCATION`)."""

    id: int
    kind: str
    title: str
    status: str
    price_list_id: int | None
    publication_id: int | None


class PublicationRow(NamedTuple):
    """Which products a catalog shows. The sandbox publishes everything."""

    id: int
    auto_publish: int


class PriceListRow(NamedTuple):
    """A price list: how its relative prices are computed from the shop's. The value is decimal text, in percent."""

    id: int
    name: str
    currency: str
    adjustment_type: str
    adjustment_value: str
    compare_at_mode: str

    def factor(self) -> Decimal:
        """What the shop's prices are multiplied by."""
        share = Decimal(self.adjustment_value) / 100
        return 1 - share if self.adjustment_type == "PERCENTAGE_DECREASE" else 1 + share


class FixedPrice(NamedTuple):
    """The fixed price of a variant in a price list, as text with the decimals of the list's currency."""

    price: str
    compare_at_price: str | None


class PriceRow(NamedTuple):
    """The price of a variant in a price list: fixed, or relative and then in the shop's currency."""

    list_id: int
    variant: VariantRow
    currency: str
    price: str
    compare_at_price: str | None
    is_fixed: bool

    @property
    def id(self) -> int:
        """Prices are listed in the order of their variants."""
        return self.variant.id


class QuantityRuleRow(NamedTuple):
    """How many of a variant may be bought: the default rule has no row in the database."""

    variant: VariantRow
    minimum: int = 1
    maximum: int | None = None
    increment: int = 1
    is_fixed: bool = False

    @property
    def id(self) -> int:
        """Rules are listed in the order of their variants."""
        return self.variant.id


class PriceBreakRow(NamedTuple):
    """A lower price from a quantity upwards, as text with the decimals of the list's currency."""

    id: int
    price_list_id: int
    variant_id: int
    minimum_quantity: int
    price: str


class CompanyRow(NamedTuple):
    """A company that buys."""

    id: int
    name: str
    external_id: str | None
    created_at: int


class CompanyLocationRow(NamedTuple):
    """A place of a company; catalogs may apply to it."""

    id: int
    company_id: int
    name: str
    phone: str | None
    external_id: str | None
    created_at: int


class ContextPrice(NamedTuple):
    """What a buyer in a context pays for a variant, and the price list that says so, if one does."""

    variant: VariantRow
    currency: str
    price: str
    compare_at_price: str | None
    price_list: PriceListRow | None


GID_TYPE: Final = {"MARKET": "MarketCatalog", "COMPANY_LOCATION": "CompanyLocationCatalog", "APP": "AppCatalog"}
"""The GraphQL type of a catalog of each kind."""
