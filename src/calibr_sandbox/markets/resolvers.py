"""The fields of this package that take arguments: roots, connections, contextual pricing."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from calibr_sandbox import catalog
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.connections import Page, by_id, fetch_page, page_arguments, window
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.markets import (
    catalog_writes,
    companies,
    contextual,
    fixed_prices,
    list_writes,
    market_writes,
    reads,
    rule_writes,
)
from calibr_sandbox.markets import price_lists as lists
from calibr_sandbox.markets.product_prices import resolve_by_product
from calibr_sandbox.markets.quantity_pricing import resolve_quantity_pricing
from calibr_sandbox.markets.rows import (
    GID_TYPE,
    CatalogRow,
    CompanyLocationRow,
    CompanyRow,
    ContextPrice,
    MarketRow,
    PriceBreakRow,
    PriceListRow,
    PriceRow,
    PublicationRow,
)
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.search import (
    CATALOG_FIELDS,
    EVERYTHING,
    MARKET_FIELDS,
    PRICE_FIELDS,
    Filter,
    SearchError,
    parse_search,
)

Place = tuple[int | str, int]
_MAX_BREAKS: Final = 250


def _markets(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401 - a field's arguments
    keys: dict[str, Callable[[MarketRow], Place]] = {
        "NAME": lambda row: (row.name, row.id),
        "STATUS": lambda row: (row.status, row.id),
    }
    rows = reads.list_markets(info.context.store, _search(arguments, MARKET_FIELDS))
    chosen = [row for row in rows if arguments.get("type") in {None, market_type(info, row)}]
    return window(chosen, page_arguments(arguments), keys.get(arguments.get("sortKey") or "NAME", by_id))


def _market(_root: object, info: Info, id: str) -> MarketRow | None:  # noqa: A002
    return reads.find_market(info.context.store, number_of(id, "Market"))


def market_type(info: Info, row: MarketRow) -> str:
    """Say what decides whether a buyer belongs to a market: here regions do, or nothing yet."""
    return "REGION" if reads.regions_of(info.context.store, row) else "NONE"


def _catalogs(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    keys: dict[str, Callable[[CatalogRow], Place]] = {
        "TITLE": lambda row: (row.title.lower(), row.id),
        "TYPE": lambda row: (row.kind, row.id),
    }
    rows = reads.list_catalogs(info.context.store, _catalog_filter(arguments))
    return window(rows, page_arguments(arguments), keys.get(arguments.get("sortKey") or "ID", by_id))


def _catalogs_count(_root: object, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    total = len(reads.list_catalogs(info.context.store, _catalog_filter(arguments)))
    return _count(total, arguments.get("limit"))


def _catalog_filter(arguments: dict[str, Any]) -> Filter:
    kind = arguments.get("type")
    found = _search(arguments, CATALOG_FIELDS)
    return found if kind is None else found.and_also(Filter("c.kind = ?", (kind,)))


def _catalog(_root: object, info: Info, id: str) -> CatalogRow | None:  # noqa: A002
    return reads.find_catalog(info.context.store, id)


def _catalog_markets(row: CatalogRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(_markets_of(row, info, arguments), page_arguments(arguments), lambda each: (each.name, each.id))


def _catalog_markets_count(row: CatalogRow, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    return _count(len(_markets_of(row, info, arguments)), arguments.get("limit"))


def _markets_of(row: CatalogRow, info: Info, arguments: dict[str, Any]) -> list[MarketRow]:
    status, kind = arguments.get("status"), arguments.get("type")
    return [
        market
        for market in reads.markets_of(info.context.store, row)
        if status in {None, market.status} and kind in {None, market_type(info, market)}
    ]


def _catalog_locations(row: CatalogRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(reads.locations_of(info.context.store, row), page_arguments(arguments), by_id)


def _market_catalogs(row: MarketRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(reads.catalogs_in(info.context.store, "MARKET", row.id), page_arguments(arguments), by_id)


def _market_regions(row: MarketRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(reads.regions_of(info.context.store, row), page_arguments(arguments), by_id)


def _nothing(_row: object, _info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window([], page_arguments(arguments), by_id)


def _company_locations(row: CompanyRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(reads.list_locations(info.context.store, row.id), page_arguments(arguments), by_id)


def _company(_root: object, info: Info, id: str) -> CompanyRow | None:  # noqa: A002
    return reads.find_company(info.context.store, number_of(id, "Company"))


def _location(_root: object, info: Info, id: str) -> CompanyLocationRow | None:  # noqa: A002
    return reads.find_location(info.context.store, number_of(id, "CompanyLocation"))


def _publication(_root: object, info: Info, id: str) -> PublicationRow | None:  # noqa: A002
    return reads.find_publication(info.context.store, number_of(id, "Publication"))


def _location_catalogs(row: CompanyLocationRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return window(_catalogs_of(row, info), page_arguments(arguments), by_id)


def _location_catalogs_count(row: CompanyLocationRow, info: Info, limit: int | None = None) -> dict[str, object]:
    return _count(len(_catalogs_of(row, info)), limit)


def _in_catalog(row: CompanyLocationRow, info: Info, catalogId: str) -> bool:  # noqa: N803 - the argument's name
    catalog = reads.find_catalog(info.context.store, catalogId)
    return catalog is not None and catalog in _catalogs_of(row, info)


def _catalogs_of(row: CompanyLocationRow, info: Info) -> list[CatalogRow]:
    return reads.catalogs_in(info.context.store, "COMPANY_LOCATION", row.id)


def _price_lists(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    def by_name(row: PriceListRow) -> Place:
        return (row.name, row.id)

    key: Callable[[PriceListRow], Place] = by_name if arguments.get("sortKey") == "NAME" else by_id
    return window(lists.list_price_lists(info.context.store), page_arguments(arguments), key)


def _price_list(_root: object, info: Info, id: str) -> PriceListRow | None:  # noqa: A002
    return lists.find_price_list(info.context.store, number_of(id, "PriceList"))


def _prices(row: PriceListRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    where, origin, store = _search(arguments, PRICE_FIELDS), arguments.get("originType"), info.context.store
    page = page_arguments(arguments)
    return fetch_page(page, by_id, lambda part: lists.list_prices(store, row, part, where, origin))


def _quantity_rules(row: PriceListRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    origin, store = arguments.get("originType"), info.context.store
    return fetch_page(page_arguments(arguments), by_id, lambda part: lists.list_rules(store, row, part, origin))


def _price_breaks(row: PriceRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    return _breaks(lists.breaks_of(info.context.store, row.list_id, row.variant.id), arguments)


def _context_breaks(row: ContextPrice, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    found = lists.breaks_of(info.context.store, row.price_list.id, row.variant.id) if row.price_list else []
    return _breaks(found, arguments)


def _breaks(rows: list[PriceBreakRow], arguments: dict[str, Any]) -> Page:
    def by_quantity(row: PriceBreakRow) -> Place:
        return (row.minimum_quantity, row.id)

    return window(rows, page_arguments(arguments), by_id if arguments.get("sortKey") == "ID" else by_quantity)


def _variant_pricing(row: VariantRow, info: Info, context: dict[str, Any]) -> ContextPrice:
    store = info.context.store
    return contextual.price_in(store, contextual.read_context(store, context), [row])[0]


def _product_pricing(row: ProductRow, info: Info, context: dict[str, Any]) -> dict[str, Any]:
    store = info.context.store
    whole, own = catalog.Slice(MAX_VARIANTS_PER_PRODUCT), Filter("v.product_id = ?", (row.id,))
    read = contextual.read_context(store, context)
    variants = catalog.list_variants(store, whole, own, ("v.position", "v.id"))
    ranked = sorted(contextual.price_in(store, read, variants), key=lambda price: Decimal(price.price))
    least, most = (ranked[0], ranked[-1]) if ranked else (None, None)
    return {
        "fixedQuantityRulesCount": sum(lists.count_rules_of_product(store, each.id, row.id) for each in read.lists),
        "minVariantPricing": least,
        "maxVariantPricing": most,
        "priceRange": (least, most),
    }


def _search(arguments: dict[str, Any], fields: dict[str, Callable[[str, str], Filter]]) -> Filter:
    try:
        return parse_search(arguments.get("query"), fields) if arguments.get("query") else EVERYTHING
    except SearchError as error:
        raise BadRequestError(str(error)) from error


def _count(total: int, limit: int | None) -> dict[str, object]:
    # A limit that is reached says "at least", also when there is nothing beyond it: so it is recorded.
    if limit is not None and total > limit:
        return {"count": limit, "precision": "AT_LEAST"}
    return {"count": total, "precision": "EXACT"}


RESOLVERS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "QueryRoot": {
        "market": _market,
        "markets": _markets,
        "catalog": _catalog,
        "catalogs": _catalogs,
        "catalogsCount": _catalogs_count,
        # What is asked of a catalog is done when it is answered: there are no operations to tell of.
        "catalogOperations": lambda _root, _info: [],
        "company": _company,
        "companyLocation": _location,
        "publication": _publication,
        "priceList": _price_list,
        "priceLists": _price_lists,
    },
    "Mutation": {
        "marketCreate": market_writes.resolve_create,
        "marketUpdate": market_writes.resolve_update,
        "marketDelete": market_writes.resolve_delete,
        "catalogCreate": catalog_writes.resolve_create,
        "catalogUpdate": catalog_writes.resolve_update,
        "catalogDelete": catalog_writes.resolve_delete,
        "catalogContextUpdate": catalog_writes.resolve_context_update,
        "publicationCreate": companies.resolve_publication_create,
        "publicationDelete": companies.resolve_publication_delete,
        "companyCreate": companies.resolve_company_create,
        "companyDelete": companies.resolve_company_delete,
        "companyLocationCreate": companies.resolve_location_create,
        "priceListCreate": list_writes.resolve_create,
        "priceListUpdate": list_writes.resolve_update,
        "priceListDelete": list_writes.resolve_delete,
        "priceListFixedPricesAdd": fixed_prices.resolve_add,
        "priceListFixedPricesUpdate": fixed_prices.resolve_update,
        "priceListFixedPricesDelete": fixed_prices.resolve_delete,
        "priceListFixedPricesByProductUpdate": resolve_by_product,
        "quantityPricingByVariantUpdate": resolve_quantity_pricing,
        "quantityRulesAdd": rule_writes.resolve_add,
        "quantityRulesDelete": rule_writes.resolve_delete,
    },
    "Market": {"catalogs": _market_catalogs, "regions": _market_regions, "webPresences": _nothing},
    "RegionsCondition": {"regions": _market_regions},
    "CompanyLocation": {
        "catalogs": _location_catalogs,
        "catalogsCount": _location_catalogs_count,
        "inCatalog": _in_catalog,
    },
    "MarketCatalog": {"markets": _catalog_markets, "marketsCount": _catalog_markets_count},
    "CompanyLocationCatalog": {"companyLocations": _catalog_locations},
    "Company": {"locations": _company_locations},
    "PriceList": {"prices": _prices, "quantityRules": _quantity_rules},
    "PriceListPrice": {"quantityPriceBreaks": _price_breaks},
    "ProductVariantContextualPricing": {"quantityPriceBreaks": _context_breaks},
    "ProductVariant": {"contextualPricing": _variant_pricing},
    "Product": {"contextualPricing": _product_pricing},
}


def type_of_catalog(row: CatalogRow) -> str:
    """Name the GraphQL type of a catalog."""
    return GID_TYPE[row.kind]


def find_node(info: Info, type_name: str, number: int) -> object | None:
    """Return the object of this package that a global id names, or None."""
    store = info.context.store
    finders: dict[str, Callable[[Any, int], object | None]] = {
        "Market": reads.find_market,
        "PriceList": lists.find_price_list,
        "Publication": reads.find_publication,
        "Company": reads.find_company,
        "CompanyLocation": reads.find_location,
        "QuantityPriceBreak": lists.find_break,
    }
    if type_name in GID_TYPE.values():
        return reads.find_catalog(store, f"gid://shopify/{type_name}/{number}")
    return finders[type_name](store, number) if type_name in finders else None
