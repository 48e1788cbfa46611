"""Access scopes: how grants are written, and which field needs which.

The texts are those that Shopify gives in its errors and documentation. One speaks for the type that a field
returns (through connections and edges) unless the field has its own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_PRODUCTS: Final = "`read_products` access scope."
_STOCK: Final = "`read_inventory` access scope or `read_products` access scope."
_MARKETS: Final = "`read_markets` for queries and both `read_markets` as well as `write_markets` for mutations."
_COMPANY: Final = (
    "`{0}_customers` access scope or `{0}_companies` access scope. Also: The shop must have access to B2B. Some"
    " operations may require additional plan capabilities."
)
_SEE_LISTS: Final = f"{_PRODUCTS} Also: The user must have permission to view catalogs."
_FILES: Final = (
    "`read_products` access scope, `read_files` access scope, `read_themes` access scope, `read_orders` access scope,"
    " `read_draft_orders` access scope, `read_images` access scope or `read_quick_sale` access scope."
)
_WRITE: Final = "`write_products` access scope. Also: The user must have"
_CATALOGS: Final = f"{_WRITE} permission to create and edit catalogs"
_B2B: Final = f"{_CATALOGS}, and the shop requires B2B features enabled."
_NO_CATALOGS: Final = f"{_WRITE} permission to delete catalogs."
_PUBLICATIONS: Final = (
    "`write_publications` access scope. Also: The user must have a permission to create and edit catalogs."
)
_LISTINGS: Final = (
    "`read_products` access scope or `read_product_listings` access scope. Also: The app owning the catalog needs"
    " either products or product listing rights."
)
_INVENTORY: Final = "`write_inventory` access scope. Also: The user must have a permission to update an inventory item."
_LOCATIONS: Final = "`read_locations` access scope, `read_inventory` access scope or `read_markets_home` access scope."

_NAMES_BY_TEXT: Final[dict[str, str]] = {
    _PRODUCTS: "Collection CompanyLocationCatalog MarketCatalog PriceListAdjustment PriceListParent Product"
    " ProductCompareAtPriceRange ProductContextualPricing ProductOption ProductOptionValue ProductPriceRangeV2"
    " ProductVariant ProductVariantContextualPricing QuantityRule MarketCatalog.marketsCount"
    " QueryRoot.collectionsCount QueryRoot.productsCount"
    " QueryRoot.productVariantsCount",
    _STOCK: "CountryHarmonizedSystemCode InventoryItem InventoryItemMeasurement",
    _MARKETS: "Market MarketConditions MarketCurrencySettings MarketPriceInclusions MarketRegionCountry"
    " MarketWebPresence RegionsCondition QueryRoot.markets QueryRoot.webPresences Mutation.marketCreate"
    " Mutation.marketDelete Mutation.marketUpdate",
    _COMPANY.format("read"): "Company CompanyLocation",
    _COMPANY.format("write"): "Mutation.companyCreate Mutation.companyDelete Mutation.companyLocationCreate",
    f"{_PRODUCTS} Also: The user must have a permission to view catalogs.": "PriceList",
    _SEE_LISTS: "PriceListAdjustmentSettings PriceListPrice QuantityPriceBreak",
    _LISTINGS: "AppCatalog",
    _FILES: "ExternalVideo Media MediaImage Model3d Video VideoSource",
    "`read_products` access scope or `read_publications` access scope.": "QueryRoot.catalogOperations",
    "`read_products` access scope or `read_files` access scope.": "MediaError MediaWarning",
    "`read_products` access scope, `read_files` access scope or `read_themes` access scope.": "Model3dSource",
    "`read_inventory` access scope.": "InventoryLevel InventoryItem.duplicateSkuCount",
    _LOCATIONS: "Location",
    _INVENTORY: "Mutation.inventoryItemUpdate",
    f"{_WRITE} a permission to create products.": "Mutation.productCreate Mutation.productSet",
    f"{_WRITE} a permission to delete products.": "Mutation.productDelete",
    f"{_WRITE} a permission to update products.": "Mutation.productUpdate",
    f"{_WRITE} a permission to create product variants.": "Mutation.productVariantsBulkCreate",
    f"{_WRITE} a permission to delete product variants.": "Mutation.productVariantsBulkDelete",
    f"{_WRITE} a permission to update product variants.": "Mutation.productVariantsBulkUpdate",
    f"{_CATALOGS}.": "Mutation.catalogContextUpdate Mutation.catalogCreate Mutation.catalogUpdate"
    " Mutation.priceListCreate Mutation.priceListUpdate Mutation.priceListFixedPricesAdd"
    " Mutation.priceListFixedPricesUpdate Mutation.priceListFixedPricesByProductUpdate",
    _B2B: "Mutation.quantityPricingByVariantUpdate Mutation.quantityRulesAdd Mutation.quantityRulesDelete",
    _NO_CATALOGS: "Mutation.catalogDelete Mutation.priceListDelete Mutation.priceListFixedPricesDelete",
    _PUBLICATIONS: "Mutation.publicationCreate Mutation.publicationDelete",
}
_NAME: Final = re.compile(r"`(\w+)`")
_SEPARATORS: Final = re.compile(r"[\s,+]+")
_FORM: Final = re.compile(r"(unauthenticated_)?(read|write)_[a-z][a-z_]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """Scopes that are needed: all of one set, and one of the other unless that is empty."""

    text: str
    all_of: frozenset[str]
    one_of: frozenset[str]

    def is_met_by(self, scopes: frozenset[str]) -> bool:
        """Whether these scopes, with the implied ones, are enough."""
        return self.all_of <= scopes and (not self.one_of or not self.one_of.isdisjoint(scopes))


def _requirement(name: str, text: str) -> Requirement:
    named = frozenset(_NAME.findall(text))
    writes = frozenset(scope for scope in named if scope.startswith("write_"))
    if not name.startswith("Mutation."):
        return Requirement(text, frozenset(), named - writes)
    is_choice = "scope or `" in text
    return Requirement(text, frozenset() if is_choice else writes, writes if is_choice else frozenset())


_BY_NAME: Final = {name: _requirement(name, text) for text, names in _NAMES_BY_TEXT.items() for name in names.split()}


def parse_scopes(text: str) -> tuple[str, ...]:
    """Read scopes parted by commas or blanks, each once, in their order. Raises ValueError for what is no scope."""
    found = tuple(dict.fromkeys(name for name in _SEPARATORS.split(text) if name))
    for name in found:
        if not _FORM.fullmatch(name):
            raise ValueError(f"scope: {name!r} does not look like a scope such as read_products")
    return found


def as_listed(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes as a grant lists them: sorted, and `read_x` left out where `write_x` implies it."""
    given = set(scopes)
    return tuple(sorted(name for name in given if not (name.startswith("read_") and f"write_{name[5:]}" in given)))


@lru_cache(maxsize=64)
def with_implied(scopes: tuple[str, ...]) -> frozenset[str]:
    """The scopes with each `read_x` that a `write_x` implies."""
    given = frozenset(scopes)
    return given | {f"read_{name.removeprefix('write_')}" for name in given if name.startswith("write_")}


def requirement(owner: str, field: str, returned: str) -> Requirement | None:
    """What a field needs; None when anybody with a token may ask for it."""
    own = _BY_NAME.get(f"{owner}.{field}")
    named = returned.removesuffix("Connection").removesuffix("Edge")
    return own if owner == "Mutation" or own is not None else _BY_NAME.get(named)


def requirement_of_type(name: str) -> Requirement | None:
    """What an object of this type needs."""
    return _BY_NAME.get(name)
