"""What belongs to a market besides its fields: the countries that it sells to and the catalogs that apply to it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from calibr_sandbox.markets.reads import find_catalog, find_region
from calibr_sandbox.markets.refusals import Path, Refusal
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store

Input = dict[str, Any]
_NO_CATALOG: Final = ("One or more customizations were not found.", "CUSTOMIZATIONS_NOT_FOUND")
_OTHER_KIND: Final = ("A market can only have market catalogs.", "CATALOG_TYPE_NOT_SUPPORTED")
_NO_REGION: Final = ("One or more condition IDs were not found.", "CONDITIONS_NOT_FOUND")


@dataclass(frozen=True, slots=True)
class Parts:
    """Countries by their codes and catalogs by their numbers, and what is wrong with those that were named."""

    countries: Sequence[str] = ()
    catalogs: Sequence[int] = ()
    refusals: Sequence[Refusal] = ()


def named_in_create(store: Store, input: Input) -> Parts:  # noqa: A002
    """Read what `marketCreate` names."""
    countries, wrong = _countries(store, input.get("conditions"), ("input", "conditions"))
    old = [region["countryCode"] for region in input.get("regions") or ()]
    catalogs, missing = _catalogs(store, input.get("catalogs"), ("input", "catalogs"))
    return Parts(list(dict.fromkeys([*old, *countries])), catalogs, wrong + missing)


def named_in_update(store: Store, input: Input) -> tuple[Parts, Parts]:  # noqa: A002
    """Read what `marketUpdate` adds to a market and what it takes away."""
    changes, place = input.get("conditions") or {}, ("input", "conditions")

    def named(condition: str, catalog: str) -> Parts:
        countries, wrong = _countries(store, changes.get(condition), (*place, condition))
        catalogs, missing = _catalogs(store, input.get(catalog), ("input", catalog))
        return Parts(countries, catalogs, wrong + missing)

    return named("conditionsToAdd", "catalogsToAdd"), named("conditionsToDelete", "catalogsToDelete")


def add_parts(connection: sqlite3.Connection, market_id: int, parts: Parts) -> None:
    """Let a market sell to countries and catalogs apply to it. Inside a transaction."""
    for country in parts.countries:
        region = (next_number(connection, "market_region"), market_id, country)
        connection.execute("INSERT OR IGNORE INTO market_region VALUES (?, ?, ?)", region)
    rows = [(catalog, market_id) for catalog in parts.catalogs]
    connection.executemany("INSERT OR IGNORE INTO catalog_context VALUES (?, ?)", rows)


def remove_parts(connection: sqlite3.Connection, market_id: int, parts: Parts) -> None:
    """Take countries and catalogs from a market. Inside a transaction."""
    gone = [(market_id, country) for country in parts.countries]
    connection.executemany("DELETE FROM market_region WHERE market_id = ? AND country = ?", gone)
    rows = [(catalog, market_id) for catalog in parts.catalogs]
    connection.executemany("DELETE FROM catalog_context WHERE catalog_id = ? AND context_id = ?", rows)


def _countries(store: Store, conditions: Input | None, path: Path) -> tuple[list[str], list[Refusal]]:
    condition = (conditions or {}).get("regionsCondition") or {}
    countries = [region["countryCode"] for region in condition.get("regions") or ()]
    refusals = []
    for index, text in enumerate(condition.get("regionIds") or ()):
        region = find_region(store, number_of(text, "MarketRegionCountry"))
        if region is None:
            refusals.append(Refusal((*path, "regionsCondition", "regionIds", str(index)), *_NO_REGION))
        else:
            countries.append(region.country)
    return list(dict.fromkeys(countries)), refusals


def _catalogs(store: Store, ids: Sequence[str] | None, path: Path) -> tuple[list[int], list[Refusal]]:
    found, refusals = [], []
    for index, text in enumerate(ids or ()):
        catalog = find_catalog(store, text)
        if catalog is None or catalog.kind != "MARKET":
            refusals.append(Refusal((*path, str(index)), *(_NO_CATALOG if catalog is None else _OTHER_KIND)))
        else:
            found.append(catalog.id)
    return found, refusals
