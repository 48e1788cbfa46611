"""How each field of this package without arguments reads its value from a row."""

from collections.abc import Callable
from typing import Any, Final

from calibr_sandbox.catalog import find_variant
from calibr_sandbox.fields import Getter, ShopContext, timestamp
from calibr_sandbox.ids import gid
from calibr_sandbox.markets import price_lists as lists
from calibr_sandbox.markets import reads
from calibr_sandbox.markets.names import COUNTRY_NAMES, CURRENCY_NAMES
from calibr_sandbox.markets.rows import (
    GID_TYPE,
    CatalogRow,
    ContextPrice,
    MarketRow,
    PriceBreakRow,
    PriceListRow,
    QuantityRuleRow,
)
from calibr_sandbox.money import money_v2_amount
from calibr_sandbox.rows import Money
from calibr_sandbox.unit_prices import unit_price


def _id(type_name: str) -> Getter:
    return lambda row, _: gid(type_name, row.id)


def _attribute(name: str) -> Getter:
    return lambda row, _: getattr(row, name)


def _constant(value: object) -> Getter:
    return lambda _row, _shop: value


def _money(amount: str | None, currency: str) -> Money | None:
    return None if amount is None else Money(money_v2_amount(amount), currency)


def _setting(currency: str, rate: str | None) -> dict[str, Any]:
    return {
        "currencyCode": currency,
        "currencyName": CURRENCY_NAMES.get(currency, currency),
        "enabled": True,
        "manualRate": rate,
        "rateUpdatedAt": None,
    }


def _currency_settings(row: MarketRow, _shop: ShopContext) -> dict[str, Any]:
    return {
        "baseCurrency": _setting(row.base_currency, row.manual_rate),
        "localCurrencies": bool(row.local_currencies),
        "roundingEnabled": bool(row.rounding_enabled),
    }


def _price_inclusions(row: MarketRow, _shop: ShopContext) -> dict[str, Any]:
    return {
        "adaptivePricingEnabled": False,
        "inclusiveDutiesPricingStrategy": row.duties_strategy,
        "inclusiveTaxPricingStrategy": row.tax_strategy,
    }


def _has_regions(row: MarketRow, shop: ShopContext) -> bool:
    return bool(reads.regions_of(shop.store, row))


def _list_of_market(row: MarketRow, shop: ShopContext) -> PriceListRow | None:
    found = (_list_of(each, shop) for each in reads.catalogs_in(shop.store, "MARKET", row.id))
    return next((price_list for price_list in found if price_list is not None), None)


def _list_of(row: CatalogRow, shop: ShopContext) -> PriceListRow | None:
    return None if row.price_list_id is None else lists.find_price_list(shop.store, row.price_list_id)


def _publication_of(row: CatalogRow, shop: ShopContext) -> object | None:
    return None if row.publication_id is None else reads.find_publication(shop.store, row.publication_id)


def _exact(count: Callable[[Any, ShopContext], int]) -> Getter:
    return lambda row, shop: {"count": count(row, shop), "precision": "EXACT"}


def _parent(row: PriceListRow, _shop: ShopContext) -> dict[str, Any]:
    adjustment = {"type": row.adjustment_type, "value": float(row.adjustment_value)}
    return {"adjustment": adjustment, "settings": {"compareAtMode": row.compare_at_mode}}


def _context_rule(row: ContextPrice, shop: ShopContext) -> QuantityRuleRow:
    if row.price_list is None:
        return QuantityRuleRow(row.variant)
    return lists.rule_row(row.variant, lists.rules_of(shop.store, row.price_list.id, [row.variant.id]))


def _break_money(row: PriceBreakRow, shop: ShopContext) -> Money | None:
    price_list = lists.find_price_list(shop.store, row.price_list_id)
    return None if price_list is None else _money(row.price, price_list.currency)


def _range_end(place: int) -> Getter:
    """A product without variants has a range all the same, of zero."""

    def read(ends: tuple[ContextPrice | None, ...], shop: ShopContext) -> Money | None:
        end = ends[place]
        return _money("0", shop.store.currency) if end is None else _money(end.price, end.currency)

    return read


_CATALOG: Final[dict[str, Getter]] = {
    "id": lambda row, _: gid(GID_TYPE[row.kind], row.id),
    "title": _attribute("title"),
    "status": _attribute("status"),
    "operations": _constant([]),
    "priceList": _list_of,
    "publication": _publication_of,
}
_MARKET: Final[dict[str, Getter]] = {
    "id": _id("Market"),
    "name": _attribute("name"),
    "handle": _attribute("handle"),
    "status": _attribute("status"),
    "enabled": lambda row, _: row.status == "ACTIVE",
    "primary": _constant(False),  # noqa: FBT003 - the value of the field
    "type": lambda row, shop: "REGION" if _has_regions(row, shop) else "NONE",
    "conditions": lambda row, shop: row if _has_regions(row, shop) else None,
    "currencySettings": _currency_settings,
    "priceInclusions": _price_inclusions,
    "priceList": _list_of_market,
    "catalogsCount": _exact(lambda row, shop: len(reads.catalogs_in(shop.store, "MARKET", row.id))),
}
_PRICE_LIST: Final[dict[str, Getter]] = {
    "id": _id("PriceList"),
    "name": _attribute("name"),
    "currency": _attribute("currency"),
    "fixedPricesCount": lambda row, shop: lists.count_fixed(shop.store, row),
    "catalog": lambda row, shop: reads.catalog_of_list(shop.store, row.id),
    "parent": _parent,
}
_PRICES: Final[dict[str, Getter]] = {
    "price": lambda row, _: _money(row.price, row.currency),
    "compareAtPrice": lambda row, _: _money(row.compare_at_price, row.currency),
}
_RULE: Final[dict[str, Getter]] = {
    "minimum": _attribute("minimum"),
    "maximum": _attribute("maximum"),
    "increment": _attribute("increment"),
    "isDefault": lambda row, _: not row.is_fixed,
    "originType": lambda row, _: "FIXED" if row.is_fixed else "RELATIVE",
    "productVariant": _attribute("variant"),
}
_BREAK: Final[dict[str, Getter]] = {
    "id": _id("QuantityPriceBreak"),
    "minimumQuantity": _attribute("minimum_quantity"),
    "price": _break_money,
    "priceList": lambda row, shop: lists.find_price_list(shop.store, row.price_list_id),
    "variant": lambda row, shop: find_variant(shop.store, row.variant_id),
}
_LOCATION: Final[dict[str, Getter]] = {
    "id": _id("CompanyLocation"),
    "name": _attribute("name"),
    "phone": _attribute("phone"),
    "externalId": _attribute("external_id"),
    "company": lambda row, shop: reads.find_company(shop.store, row.company_id),
    "currency": lambda _, shop: shop.store.currency,
    "createdAt": lambda row, _: timestamp(row.created_at),
    "updatedAt": lambda row, _: timestamp(row.created_at),
}

GETTERS: Final[dict[str, dict[str, Getter]]] = {
    "Market": _MARKET,
    "MarketConditions": {"conditionTypes": _constant(["REGION"]), "regionsCondition": lambda row, _: row},
    "RegionsCondition": {"applicationLevel": _constant("SPECIFIED")},
    "MarketRegionCountry": {
        "id": _id("MarketRegionCountry"),
        "code": _attribute("country"),
        "name": lambda row, _: COUNTRY_NAMES.get(row.country, row.country),
        "currency": lambda row, _: _setting(row.currency, None),
    },
    "MarketCatalog": _CATALOG,
    "AppCatalog": _CATALOG,
    "CompanyLocationCatalog": _CATALOG
    | {"companyLocationsCount": _exact(lambda row, shop: len(reads.locations_of(shop.store, row)))},
    "Publication": {
        "id": _id("Publication"),
        "autoPublish": lambda row, _: bool(row.auto_publish),
        "catalog": lambda row, shop: reads.catalog_of_publication(shop.store, row.id),
        "supportsFuturePublishing": _constant(False),  # noqa: FBT003
    },
    "Company": {
        "id": _id("Company"),
        "name": _attribute("name"),
        "externalId": _attribute("external_id"),
        "locationsCount": _exact(lambda row, shop: len(reads.list_locations(shop.store, row.id))),
        "createdAt": lambda row, _: timestamp(row.created_at),
        "updatedAt": lambda row, _: timestamp(row.created_at),
    },
    "CompanyLocation": _LOCATION,
    "PriceList": _PRICE_LIST,
    "PriceListPrice": _PRICES
    | {"originType": lambda row, _: "FIXED" if row.is_fixed else "RELATIVE", "variant": _attribute("variant")},
    "QuantityRule": _RULE,
    "QuantityPriceBreak": _BREAK,
    "ProductVariantContextualPricing": _PRICES
    | {"unitPrice": lambda row, _: unit_price(row.variant, row.price, row.currency), "quantityRule": _context_rule},
    "ProductPriceRangeV2": {"minVariantPrice": _range_end(0), "maxVariantPrice": _range_end(1)},
}
