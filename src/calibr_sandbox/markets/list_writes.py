"""`priceListCreate`, `priceListUpdate`, `priceListDelete`."""

import sqlite3
from decimal import Decimal
from typing import Any, Final

from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.fixed_writes import write_fixed
from calibr_sandbox.markets.price_lists import all_fixed, find_price_list
from calibr_sandbox.markets.reads import find_catalog
from calibr_sandbox.markets.refusals import Refusal, text_refusals, user_errors
from calibr_sandbox.markets.rows import PriceListRow
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer

Input = dict[str, Any]
_LARGEST: Final = {"PERCENTAGE_DECREASE": 100, "PERCENTAGE_INCREASE": 1000}
_BAD_ADJUSTMENT: Final = Refusal(
    ("input", "parent", "adjustment", "value"),
    "The adjustment value must be a positive value and not be greater than 100% for PERCENTAGE_DECREASE and not be "
    "greater than 1000% for PERCENTAGE_INCREASE.",
    "INVALID_ADJUSTMENT_VALUE",
)
_NOT_FOUND: Final = Refusal(("id",), "Price list does not exist.", "PRICE_LIST_NOT_FOUND")


def resolve_create(_root: object, info: Info, input: Input) -> dict[str, Any]:  # noqa: A002
    """`priceListCreate`. The list's currency need not be that of the catalog's market."""
    store = info.context.store
    with store.transaction() as connection:
        refusals = _name_refusals(store, input["name"], 0) + _adjustment_refusals(input)
        catalog_id, wrong = _catalog(store, input, 0)
        if refusals + wrong:
            return {"priceList": None, "userErrors": user_errors(refusals + wrong)}
        blank = PriceListRow(0, input["name"], input["currency"], "PERCENTAGE_DECREASE", "0", "ADJUSTED")
        stored = insert_list(connection, _with_parent(blank, input))
        if catalog_id is not None:
            _attach(connection, stored.id, catalog_id)
    return {"priceList": stored, "userErrors": []}


def resolve_update(_root: object, info: Info, id: str, input: Input) -> dict[str, Any]:  # noqa: A002
    """`priceListUpdate`: another currency takes all fixed prices away; a null `catalogId` takes the catalog away."""
    store, number = info.context.store, number_of(id, "PriceList")
    with store.transaction() as connection:
        price_list = find_price_list(store, number)
        if price_list is None:
            return {"priceList": None, "userErrors": user_errors([_NOT_FOUND])}
        refusals = _name_refusals(store, input["name"], number) if "name" in input else []
        refusals += _adjustment_refusals(input)
        catalog_id, wrong = _catalog(store, input, number)
        if wrong:
            return {"priceList": None, "userErrors": user_errors(refusals + wrong)}
        if refusals:
            return {"priceList": price_list, "userErrors": user_errors(refusals)}
        changed = _with_parent(price_list, input)
        changed = changed._replace(
            name=input.get("name") or price_list.name, currency=input.get("currency") or price_list.currency
        )
        if changed.currency != price_list.currency:
            _wipe(store, connection, price_list, info.context.writer)
        connection.execute(
            "UPDATE price_list SET name = ?, currency = ?, adjustment_type = ?, adjustment_value = ?,"
            " compare_at_mode = ? WHERE id = ?",
            (*changed[1:], number),
        )
        if "catalogId" in input:
            connection.execute("UPDATE catalog SET price_list_id = NULL WHERE price_list_id = ?", (number,))
        if catalog_id is not None:
            _attach(connection, number, catalog_id)
    return {"priceList": changed, "userErrors": []}


def resolve_delete(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """`priceListDelete`: its catalog stays, without prices of its own."""
    store, number = info.context.store, number_of(id, "PriceList")
    with store.transaction() as connection:
        price_list = find_price_list(store, number)
        if price_list is None:
            return {"deletedId": None, "userErrors": user_errors([_NOT_FOUND])}
        delete_list(store, connection, price_list, info.context.writer)
    return {"deletedId": gid("PriceList", number), "userErrors": []}


def insert_list(connection: sqlite3.Connection, price_list: PriceListRow) -> PriceListRow:
    """Store a price list and return it with its number."""
    stored = price_list._replace(id=next_number(connection, "price_list"))
    connection.execute("INSERT INTO price_list VALUES (?, ?, ?, ?, ?, ?)", stored)
    return stored


def delete_list(store: Store, connection: sqlite3.Connection, price_list: PriceListRow, writer: Writer) -> None:
    """Delete a price list with all that hangs on it. Inside a transaction."""
    _wipe(store, connection, price_list, writer)
    connection.execute("DELETE FROM quantity_rule WHERE price_list_id = ?", (price_list.id,))
    connection.execute("UPDATE catalog SET price_list_id = NULL WHERE price_list_id = ?", (price_list.id,))
    connection.execute("DELETE FROM price_list WHERE id = ?", (price_list.id,))


def _wipe(store: Store, connection: sqlite3.Connection, price_list: PriceListRow, writer: Writer) -> None:
    """Take all fixed prices and their breaks away, and tell the journal of each."""
    write_fixed(store, connection, price_list, dict.fromkeys(all_fixed(store, price_list.id)), writer)
    connection.execute("DELETE FROM quantity_price_break WHERE price_list_id = ?", (price_list.id,))


def _attach(connection: sqlite3.Connection, number: int, catalog_id: int) -> None:
    connection.execute("UPDATE catalog SET price_list_id = ? WHERE id = ?", (number, catalog_id))


def _with_parent(price_list: PriceListRow, input: Input) -> PriceListRow:  # noqa: A002
    parent = input.get("parent")
    if parent is None:
        return price_list
    adjustment, settings = parent["adjustment"], parent.get("settings")
    return price_list._replace(
        adjustment_type=adjustment["type"],
        adjustment_value=f"{_percent(adjustment):f}",
        compare_at_mode=settings["compareAtMode"] if settings else price_list.compare_at_mode,
    )


def _percent(adjustment: Input) -> Decimal:
    """Read the value as it was written: the shortest decimal that gives the number JSON carried."""
    return Decimal(repr(adjustment["value"]))


def _adjustment_refusals(input: Input) -> list[Refusal]:  # noqa: A002
    parent = input.get("parent")
    if parent is None:
        return []
    adjustment = parent["adjustment"]
    is_good = 0 <= _percent(adjustment) <= _LARGEST[adjustment["type"]]
    return [] if is_good else [_BAD_ADJUSTMENT]


def _name_refusals(store: Store, name: str | None, own: int) -> list[Refusal]:
    refusals = text_refusals(name, ("input", "name"), "Name")
    if not refusals and store.fetch_one("SELECT 1 FROM price_list WHERE name = ? AND id <> ?", (name, own)):
        return [Refusal(("input", "name"), "Name has already been taken", "TAKEN")]
    return refusals


def _catalog(store: Store, input: Input, own: int) -> tuple[int | None, list[Refusal]]:  # noqa: A002
    """Find the catalog that the list is to belong to; one that has another list already is not free."""
    text = input.get("catalogId")
    if text is None:
        return None, []
    catalog = find_catalog(store, text)
    if catalog is None:
        return None, [Refusal(("input", "catalogId"), "Catalog does not exist.", "CATALOG_DOES_NOT_EXIST")]
    if catalog.price_list_id not in {None, own}:
        return None, [Refusal(("input", "catalogId"), "Catalog has a price list already assigned.", "CATALOG_TAKEN")]
    return catalog.id, []
