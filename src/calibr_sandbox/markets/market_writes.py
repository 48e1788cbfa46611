"""`marketCreate`, `marketUpdate`, `marketDelete`: as much of them as stores for tests need."""

import re
import sqlite3
from decimal import Decimal
from typing import Any, Final

from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.market_parts import Parts, add_parts, named_in_create, named_in_update, remove_parts
from calibr_sandbox.markets.reads import find_market
from calibr_sandbox.markets.refusals import Refusal, text_refusals, user_errors
from calibr_sandbox.markets.rows import MarketRow
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.queries import number_of

Input = dict[str, Any]
_NOT_HANDLE: Final = re.compile(r"[^a-z0-9]+")
_NOT_FOUND: Final = Refusal(("id",), "The market wasn't found.", "MARKET_NOT_FOUND")
_BOTH_SAY: Final = Refusal(
    ("input",), "Status and enabled do not agree with each other.", "INVALID_STATUS_AND_ENABLED_COMBINATION"
)


def resolve_create(_root: object, info: Info, input: Input) -> dict[str, Any]:  # noqa: A002
    """`marketCreate`: a market without regions applies to nobody until it gets some."""
    store = info.context.store
    name = input["name"]
    with store.transaction() as connection:
        refusals = text_refusals(name, ("input", "name"), "Name") + _status_refusals(input)
        handle = input.get("handle") or _NOT_HANDLE.sub("-", name.lower()).strip("-")
        if not refusals and store.fetch_one("SELECT 1 FROM market WHERE handle = ?", (handle,)):
            refusals = [Refusal(("input", "name"), "Name has already been taken", "TAKEN")]
        parts = named_in_create(store, input)
        refusals += parts.refusals
        if refusals:
            return {"market": None, "userErrors": user_errors(refusals)}
        market = _with_settings(
            MarketRow(0, name, handle, _status(input), store.currency, None, 0, 1, *_PRICING), input
        )
        stored = insert_market(connection, market, parts)
    return {"market": stored, "userErrors": []}


def resolve_update(_root: object, info: Info, id: str, input: Input) -> dict[str, Any]:  # noqa: A002
    """`marketUpdate`: also its countries and catalogs; what is both added and taken away is there in the end."""
    store, number = info.context.store, number_of(id, "Market")
    with store.transaction() as connection:
        market = find_market(store, number)
        if market is None:
            return {"market": None, "userErrors": user_errors([_NOT_FOUND])}
        refusals = _status_refusals(input)
        if "name" in input:
            refusals += text_refusals(input["name"], ("input", "name"), "Name")
        added, removed = named_in_update(store, input)
        refusals += [*added.refusals, *removed.refusals]
        if refusals:
            return {"market": None, "userErrors": user_errors(refusals)}
        changed = market._replace(
            name=input.get("name") or market.name,
            handle=input.get("handle") or market.handle,
            status=_status(input, market.status),
        )
        changed = _with_settings(changed, input)
        columns = ", ".join(f"{name} = ?" for name in MarketRow._fields[1:])
        connection.execute(f"UPDATE market SET {columns} WHERE id = ?", (*changed[1:], number))  # noqa: S608 - own columns
        remove_parts(connection, number, removed)
        add_parts(connection, number, added)
    return {"market": changed, "userErrors": []}


def resolve_delete(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """`marketDelete`: catalogs stay, and apply to one market less."""
    store, number = info.context.store, number_of(id, "Market")
    with store.transaction() as connection:
        if find_market(store, number) is None:
            return {"deletedId": None, "userErrors": user_errors([_NOT_FOUND])}
        connection.execute(
            "DELETE FROM catalog_context WHERE context_id = ?"
            " AND catalog_id IN (SELECT id FROM catalog WHERE kind = 'MARKET')",
            (number,),
        )
        connection.execute("DELETE FROM market_region WHERE market_id = ?", (number,))
        connection.execute("DELETE FROM market WHERE id = ?", (number,))
    return {"deletedId": gid("Market", number), "userErrors": []}


def insert_market(connection: sqlite3.Connection, market: MarketRow, parts: Parts) -> MarketRow:
    """Store a market with what belongs to it, and return it with its number."""
    stored = market._replace(id=next_number(connection, "market"))
    marks = ",".join("?" * len(stored))
    connection.execute(f"INSERT INTO market VALUES ({marks})", stored)  # noqa: S608 - marks of our own
    add_parts(connection, stored.id, parts)
    return stored


_PRICING: Final = ("ADD_DUTIES_AT_CHECKOUT", "INCLUDES_TAXES_IN_PRICE_BASED_ON_COUNTRY")
"""What prices of a new market include."""


def _with_settings(market: MarketRow, input: Input) -> MarketRow:  # noqa: A002
    currency, included = input.get("currencySettings") or {}, input.get("priceInclusions") or {}
    rate: Decimal | None = currency.get("baseCurrencyManualRate")
    return market._replace(
        base_currency=currency.get("baseCurrency") or market.base_currency,
        manual_rate=f"{rate:f}" if rate is not None else market.manual_rate,
        local_currencies=int(currency.get("localCurrencies", market.local_currencies)),
        rounding_enabled=int(currency.get("roundingEnabled", market.rounding_enabled)),
        duties_strategy=included.get("dutiesPricingStrategy") or market.duties_strategy,
        tax_strategy=included.get("taxPricingStrategy") or market.tax_strategy,
    )


def _status(input: Input, default: str = "DRAFT") -> str:  # noqa: A002
    if input.get("status"):
        return str(input["status"])
    enabled = input.get("enabled")
    return default if enabled is None else "ACTIVE" if enabled else "DRAFT"


def _status_refusals(input: Input) -> list[Refusal]:  # noqa: A002
    status, enabled = input.get("status"), input.get("enabled")
    contradict = status is not None and enabled is not None and (status == "ACTIVE") is not enabled
    return [_BOTH_SAY] if contradict else []
