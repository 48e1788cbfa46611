"""Fills a sandbox with the markets, catalogs and price lists that a recording presupposes, under the recorded ids."""

import re
import sqlite3
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from plan import Action, Send
from presupposed import Presupposed, rows_of
from recording import Json

from calibr_sandbox.catalog_writer import NewProduct, NewVariant, NumberedProduct, store_numbered
from calibr_sandbox.markets.rows import GID_TYPE
from calibr_sandbox.store import Store

_FAR = 10**15
"""Ids of what a recording only counts stand behind all recorded ones."""
_WRITES_PRICES = re.compile("FixedPrices|quantityPricing")
_SPARE_COUNTRIES = ("ZW", "ZM", "ZA", "YE", "VU")
_PRICING = ("ADD_DUTIES_AT_CHECKOUT", "INCLUDES_TAXES_IN_PRICE_BASED_ON_COUNTRY")


def derive(presupposed: Presupposed) -> None:
    """Work out what the answers say of the shop without naming it: base prices from relative ones."""
    for price_list in presupposed.of_type("PriceList"):
        for row in rows_of(price_list.get("prices")):
            if row.get("originType") != "RELATIVE" or "variant" not in row:
                continue
            presupposed.shop_currency = row["price"]["currencyCode"]
            base = Decimal(row["price"]["amount"]) / _factor(price_list)
            cents = base.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
            presupposed.objects[row["variant"]["id"]].setdefault("price", str(cents))


def seed_markets(store: Store, presupposed: Presupposed, actions: list[Action]) -> None:
    """Store everything that has to do with markets. The products are there already."""
    with store.transaction() as connection:
        _seed_contexts(connection, presupposed)
        for price_list in presupposed.of_type("PriceList"):
            _seed_list(connection, price_list)
        for kind, type_name in GID_TYPE.items():
            for catalog in presupposed.of_type(type_name):
                _seed_catalog(connection, kind, catalog, presupposed)
    # Where fixed prices are written, those that answers show came from these writes.
    writes = any(isinstance(a, Send) and _WRITES_PRICES.search(" ".join(a.roots)) for a in actions)
    for price_list in presupposed.of_type("PriceList"):
        _seed_prices(store, {} if writes else price_list, _number(price_list["id"]))
    _seed_countries(store, presupposed, actions)


def _seed_contexts(connection: sqlite3.Connection, presupposed: Presupposed) -> None:
    for market in presupposed.of_type("Market"):
        _seed_market(connection, market)
    for publication in presupposed.of_type("Publication"):
        row = (_number(publication["id"]), int(bool(publication.get("autoPublish"))))
        connection.execute("INSERT INTO publication VALUES (?, ?)", row)
    locations = presupposed.of_type("CompanyLocation")
    if locations:
        connection.execute("INSERT INTO company VALUES (1, 'Company', NULL, 0)")
    for location in locations:
        row = (_number(location["id"]), location.get("name") or "Location")
        connection.execute("INSERT INTO company_location VALUES (?, 1, ?, NULL, NULL, 0)", row)


def _seed_market(connection: sqlite3.Connection, market: Json) -> None:
    number, settings = _number(market["id"]), market.get("currencySettings") or {}
    base, included = settings.get("baseCurrency") or {}, market.get("priceInclusions") or {}
    currency = (
        base.get("currencyCode") or "USD",
        base.get("manualRate"),
        int(bool(settings.get("localCurrencies"))),
        int(settings.get("roundingEnabled", True)),
        included.get("inclusiveDutiesPricingStrategy") or _PRICING[0],
        included.get("inclusiveTaxPricingStrategy") or _PRICING[1],
    )
    name, handle = market.get("name") or f"Market {number}", market.get("handle") or f"market-{number}"
    head = (number, name, handle, market.get("status") or "ACTIVE")
    connection.execute("INSERT INTO market VALUES (?,?,?,?,?,?,?,?,?,?)", (*head, *currency))
    condition = ((market.get("conditions") or {}).get("regionsCondition") or {}).get("regions")
    regions = [(_number(region["id"]), region["code"]) for region in rows_of(condition)]
    if _goes_on(condition):
        regions += [(_FAR + number, next(code for code in _SPARE_COUNTRIES if code not in dict(regions).values()))]
    if market.get("type") == "REGION" and not regions:
        regions = [(_FAR + number, _SPARE_COUNTRIES[0])]
    for region, country in regions:
        connection.execute("INSERT INTO market_region VALUES (?, ?, ?)", (region, number, country))


def _seed_list(connection: sqlite3.Connection, price_list: Json) -> None:
    number, parent = _number(price_list["id"]), price_list.get("parent") or {}
    adjustment = parent.get("adjustment") or {"type": "PERCENTAGE_DECREASE", "value": 0}
    row = (
        number,
        price_list.get("name") or f"Price list {number}",
        price_list.get("currency") or _currency_of(price_list) or "USD",
        adjustment["type"],
        str(adjustment["value"]),
        (parent.get("settings") or {}).get("compareAtMode") or "ADJUSTED",
    )
    connection.execute("INSERT INTO price_list VALUES (?, ?, ?, ?, ?, ?)", row)


def _seed_catalog(connection: sqlite3.Connection, kind: str, catalog: Json, presupposed: Presupposed) -> None:
    number = _number(catalog["id"])
    lists = [catalog.get("priceList")] + [
        each for each in presupposed.of_type("PriceList") if (each.get("catalog") or {}).get("id") == catalog["id"]
    ]
    list_ids = [_number(each["id"]) for each in lists if each]
    publication = catalog.get("publication")
    row = (number, kind, catalog.get("title") or "Catalog", catalog.get("status") or "ACTIVE")
    relations = (list_ids[0] if list_ids else None, _number(publication["id"]) if publication else None)
    connection.execute("INSERT INTO catalog VALUES (?, ?, ?, ?, ?, ?)", (*row, *relations))
    contexts = [_number(each["id"]) for each in rows_of(catalog.get("markets") or catalog.get("companyLocations"))]
    holders = [
        _number(market["id"])
        for market in presupposed.of_type("Market")
        if any(each.get("id") == catalog["id"] for each in rows_of(market.get("catalogs")))
    ]
    for context in {*contexts, *holders}:
        connection.execute("INSERT INTO catalog_context VALUES (?, ?)", (number, context))


def _seed_prices(store: Store, price_list: Json, number: int) -> None:
    """Store fixed prices, and variants that a recording only counts."""
    fixed = [row for row in rows_of(price_list.get("prices")) if row.get("originType") == "FIXED"]
    prices = [(_number(row["variant"]["id"]), row["price"], row.get("compareAtPrice")) for row in fixed]
    missing = max(0, int(price_list.get("fixedPricesCount") or 0) - len(prices))
    if missing or _goes_on(price_list.get("prices")):
        spare = [_FAR + number * 100 + place for place in range(max(1, missing))]
        shown = [_number(row["variant"]["id"]) for row in rows_of(price_list.get("prices"))]
        _store_spare(store, _FAR + number, spare)
        prices += [(variant, {"amount": "1.00"}, None) for variant in spare[:missing]]
        if shown:
            # A page of one product's prices goes on within that product.
            with store.transaction() as connection:
                own = "UPDATE variant SET product_id = (SELECT product_id FROM variant WHERE id = ?) WHERE id = ?"
                connection.executemany(own, [(shown[-1], variant) for variant in spare])
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO fixed_price VALUES (?, ?, ?, ?)",
            [(number, variant, price["amount"], compare and compare["amount"]) for variant, price, compare in prices],
        )


def _store_spare(store: Store, product: int, variants: list[int]) -> None:
    new = tuple(NewVariant((f"Spare {variant}",), "10.00") for variant in variants)
    spare = NewProduct(f"Spare {product}", f"spare-{product}", "", "", (), ("Title",), new, 1_500_000_000)
    store_numbered(store, [NumberedProduct(product, spare, tuple(variants))])


def _seed_countries(store: Store, presupposed: Presupposed, actions: list[Action]) -> None:
    """Give a country that is asked about, and that no market names, one with the rate that its prices show."""
    for country, variant, money in _foreign_prices(actions):
        if store.fetch_one("SELECT 1 FROM market_region WHERE country = ?", (country,)):
            continue
        rate = Decimal(money["amount"]) / Decimal(str(presupposed.objects[variant].get("price") or "10.00"))
        settings = {"baseCurrency": {"currencyCode": money["currencyCode"], "manualRate": str(rate)}}
        market = {"id": f"gid://shopify/Market/{_FAR}", "name": country, "currencySettings": settings}
        with store.transaction() as connection:
            _seed_market(connection, market)
            connection.execute("INSERT INTO market_region VALUES (?, ?, ?)", (_FAR, _FAR, country))
            same_currency = "SELECT id FROM price_list WHERE currency = ?"
            for place, (number,) in enumerate(store.fetch_all(same_currency, (money["currencyCode"],))):
                catalog = (_FAR + place, "MARKET", "Catalog", "ACTIVE", number, None)
                connection.execute("INSERT OR IGNORE INTO catalog VALUES (?, ?, ?, ?, ?, ?)", catalog)
                connection.execute("INSERT OR IGNORE INTO catalog_context VALUES (?, ?)", (_FAR + place, _FAR))


def _foreign_prices(actions: list[Action]) -> Iterator[tuple[str, str, Json]]:
    """What variants cost in a country, in the order asked: the first answer is the one before any write."""
    for action in actions:
        data = action.step.body.get("data") if isinstance(action, Send) else None
        variant = (data or {}).get("productVariant")
        country = action.variables.get("country") if isinstance(action, Send) else None
        if country is None and isinstance(action, Send):
            country = (action.step.variables or {}).get("country")
        if country and variant and variant.get("contextualPricing"):
            yield country, variant["id"], variant["contextualPricing"]["price"]


def _factor(price_list: Json) -> Decimal:
    adjustment = (price_list.get("parent") or {}).get("adjustment") or {"type": "PERCENTAGE_DECREASE", "value": 0}
    share = Decimal(str(adjustment["value"])) / 100
    return 1 - share if adjustment["type"] == "PERCENTAGE_DECREASE" else 1 + share


def _currency_of(price_list: Json) -> str | None:
    fixed = [row for row in rows_of(price_list.get("prices")) if row.get("originType") == "FIXED"]
    return fixed[0]["price"]["currencyCode"] if fixed else None


def _goes_on(connection: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(connection, dict) and bool((connection.get("pageInfo") or {}).get("hasNextPage"))


def _number(text: str) -> int:
    match = re.search(r"/(\d+)", text)
    if match is None:
        raise ValueError(f"{text!r} has no number")
    return int(match[1])
