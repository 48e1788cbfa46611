"""`catalogCreate`, `catalogUpdate`, `catalogDelete`, `catalogContextUpdate`."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.list_writes import delete_list
from calibr_sandbox.markets.price_lists import find_price_list
from calibr_sandbox.markets.reads import (
    catalog_of_list,
    catalog_of_publication,
    find_catalog,
    find_location,
    find_market,
    find_publication,
)
from calibr_sandbox.markets.refusals import Path, Refusal, text_refusals, user_errors
from calibr_sandbox.markets.rows import GID_TYPE, CatalogRow
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store

Input = dict[str, Any]
_MISMATCH: Final = (
    "The arguments `contexts_to_add` and `contexts_to_remove` must match existing catalog context type.",
    "CONTEXT_DRIVER_MISMATCH",
)
_NEITHER: Final = Refusal(
    ("contextsToAdd",),
    "Must have `contexts_to_add` or `contexts_to_remove` argument.",
    "REQUIRES_CONTEXTS_TO_ADD_OR_REMOVE",
)


@dataclass(frozen=True, slots=True)
class _Driver:
    """What catalogs of one kind apply to, and what Shopify says when it does not exist."""

    kind: str
    argument: str
    type_name: str
    find: Callable[[Store, int], object | None]
    missing: tuple[str, str]


_DRIVERS: Final = (
    _Driver("MARKET", "marketIds", "Market", find_market, ("Market not found.", "MARKET_NOT_FOUND")),
    _Driver(
        "COMPANY_LOCATION",
        "companyLocationIds",
        "CompanyLocation",
        find_location,
        ("A company location within the catalog does not exist.", "COMPANY_LOCATION_NOT_FOUND"),
    ),
)


def resolve_create(_root: object, info: Info, input: Input) -> dict[str, Any]:  # noqa: A002
    """`catalogCreate`."""
    store = info.context.store
    with store.transaction() as connection:
        drivers = _named_drivers(input["context"])
        refusals = text_refusals(input["title"], ("input", "title"), "Title")
        if len(drivers) != 1:
            message = "Must provide exactly one context type."
            refusals.append(Refusal(("input", "context"), message, "MUST_PROVIDE_EXACTLY_ONE_CONTEXT_TYPE"))
            return _refused(refusals)
        driver = drivers[0]
        found = _contexts(store, driver, input["context"], ("input", "context"))
        refusals += found.refusals + _relation_refusals(store, input, None)
        if refusals:
            return _refused(refusals)
        catalog = CatalogRow(0, driver.kind, input["title"], input["status"], *_relations(input, (None, None)))
        stored = insert_catalog(connection, catalog, found.numbers)
    return {"catalog": stored, "userErrors": []}


def resolve_update(_root: object, info: Info, id: str, input: Input) -> dict[str, Any]:  # noqa: A002
    """`catalogUpdate`: an absent field stays as it is; a null takes price list or publication away."""
    store = info.context.store
    with store.transaction() as connection:
        catalog = find_catalog(store, id)
        if catalog is None:
            return _refused([_not_found("id")])
        refusals = [] if "title" not in input else text_refusals(input["title"], ("input", "title"), "Title")
        refusals += _relation_refusals(store, input, catalog)
        found = _Contexts([], [])
        if input.get("context"):
            found = _matching(store, catalog, input["context"], ("input", "context"))
        if refusals + found.refusals:
            return _refused(refusals + found.refusals)
        lists = _relations(input, (catalog.price_list_id, catalog.publication_id))
        title, status = input.get("title") or catalog.title, input.get("status") or catalog.status
        changed = CatalogRow(catalog.id, catalog.kind, title, status, *lists)
        connection.execute(
            "UPDATE catalog SET title = ?, status = ?, price_list_id = ?, publication_id = ? WHERE id = ?",
            (*changed[2:], changed.id),
        )
        if input.get("context"):
            connection.execute("DELETE FROM catalog_context WHERE catalog_id = ?", (catalog.id,))
            _add_contexts(connection, catalog.id, found.numbers)
    return {"catalog": changed, "userErrors": []}


def resolve_context_update(
    _root: object,
    info: Info,
    catalogId: str,  # noqa: N803 - the argument's name in the schema
    contextsToAdd: Input | None = None,  # noqa: N803
    contextsToRemove: Input | None = None,  # noqa: N803
) -> dict[str, Any]:
    """`catalogContextUpdate`: both lists are checked before either takes effect."""
    store = info.context.store
    with store.transaction() as connection:
        catalog = find_catalog(store, catalogId)
        if catalog is None:
            return _refused([_not_found("catalogId")])
        if contextsToAdd is None and contextsToRemove is None:
            return _refused([_NEITHER])
        added = _matching(store, catalog, contextsToAdd or {}, ("contextsToAdd",))
        removed = _matching(store, catalog, contextsToRemove or {}, ("contextsToRemove",))
        if added.refusals + removed.refusals:
            return _refused(added.refusals + removed.refusals)
        gone = [(catalog.id, number) for number in removed.numbers]
        connection.executemany("DELETE FROM catalog_context WHERE catalog_id = ? AND context_id = ?", gone)
        _add_contexts(connection, catalog.id, added.numbers)
    return {"catalog": catalog, "userErrors": []}


def resolve_delete(
    _root: object,
    info: Info,
    id: str,  # noqa: A002
    deleteDependentResources: bool | None = False,  # noqa: FBT001, FBT002, N803
) -> dict[str, Any]:
    """`catalogDelete`: price list and publication stay unless they are to go along."""
    store = info.context.store
    with store.transaction() as connection:
        catalog = find_catalog(store, id)
        if catalog is None:
            return {"deletedId": None, "userErrors": user_errors([_not_found("id")])}
        connection.execute("DELETE FROM catalog_context WHERE catalog_id = ?", (catalog.id,))
        connection.execute("DELETE FROM catalog WHERE id = ?", (catalog.id,))
        if deleteDependentResources:
            price_list = None if catalog.price_list_id is None else find_price_list(store, catalog.price_list_id)
            if price_list is not None:
                delete_list(store, connection, price_list, info.context.writer)
            connection.execute("DELETE FROM publication WHERE id = ?", (catalog.publication_id,))
    return {"deletedId": gid(GID_TYPE[catalog.kind], catalog.id), "userErrors": []}


def insert_catalog(connection: sqlite3.Connection, catalog: CatalogRow, contexts: Sequence[int]) -> CatalogRow:
    """Store a catalog and what it applies to, and return it with its number."""
    stored = catalog._replace(id=next_number(connection, "catalog"))
    connection.execute("INSERT INTO catalog VALUES (?, ?, ?, ?, ?, ?)", stored)
    _add_contexts(connection, stored.id, contexts)
    return stored


@dataclass(frozen=True, slots=True)
class _Contexts:
    """The markets or company locations that an input names, and what is wrong with it."""

    numbers: list[int]
    refusals: list[Refusal]


def _named_drivers(context: Input) -> list[_Driver]:
    return [driver for driver in _DRIVERS if context.get(driver.argument) is not None]


def _matching(store: Store, catalog: CatalogRow, context: Input, path: Path) -> _Contexts:
    """Read contexts for a catalog that exists: they must be of its own kind."""
    named = _named_drivers(context)
    wrong = [driver for driver in named if driver.kind != catalog.kind]
    if wrong:
        return _Contexts([], [Refusal((*path, driver.argument), *_MISMATCH) for driver in wrong])
    return _contexts(store, named[0], context, path) if named else _Contexts([], [])


def _contexts(store: Store, driver: _Driver, context: Input, path: Path) -> _Contexts:
    numbers = [number_of(text, driver.type_name) for text in context[driver.argument]]
    missing = [
        Refusal((*path, driver.argument, str(index)), *driver.missing)
        for index, number in enumerate(numbers)
        if driver.find(store, number) is None
    ]
    return _Contexts(list(dict.fromkeys(numbers)), missing)


def _add_contexts(connection: sqlite3.Connection, catalog_id: int, numbers: Sequence[int]) -> None:
    rows = [(catalog_id, number) for number in numbers]
    connection.executemany("INSERT OR IGNORE INTO catalog_context VALUES (?, ?)", rows)


def _relations(input: Input, current: tuple[int | None, int | None]) -> tuple[int | None, int | None]:  # noqa: A002
    """Which price list and which publication the catalog has from now on."""
    lists, publications = current
    if "priceListId" in input:
        lists = None if input["priceListId"] is None else number_of(input["priceListId"], "PriceList")
    if "publicationId" in input:
        publications = None if input["publicationId"] is None else number_of(input["publicationId"], "Publication")
    return lists, publications


def _relation_refusals(store: Store, input: Input, catalog: CatalogRow | None) -> list[Refusal]:  # noqa: A002
    """A price list and a publication belong to one catalog each."""
    wanted = _relations(input, (None, None))
    checks = (
        ("priceListId", "Price list", "PRICE_LIST_NOT_FOUND", wanted[0], find_price_list, catalog_of_list),
        ("publicationId", "Publication", "PUBLICATION_NOT_FOUND", wanted[1], find_publication, catalog_of_publication),
    )
    refusals = []
    for argument, name, code, number, find, holder_of in checks:
        if number is None:
            continue
        holder = holder_of(store, number)
        if find(store, number) is None:
            refusals.append(Refusal(("input", argument), f"{name} not found.", code))
        elif holder is not None and (catalog is None or holder.id != catalog.id):
            refusals.append(Refusal(("input", argument), f"{name} has already been taken", "TAKEN"))
    return refusals


def _not_found(argument: str) -> Refusal:
    return Refusal((argument,), "Catalog does not exist", "CATALOG_NOT_FOUND")


def _refused(refusals: list[Refusal]) -> dict[str, Any]:
    return {"catalog": None, "userErrors": user_errors(refusals)}
