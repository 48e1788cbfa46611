"""Reads of markets, catalogs, companies and publications."""

from typing import Any, Final

from calibr_sandbox.errors import InvalidGlobalIdError, ResourceNotFoundError
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.markets.rows import (
    GID_TYPE,
    CatalogRow,
    CompanyLocationRow,
    CompanyRow,
    MarketRow,
    PublicationRow,
    RegionRow,
)
from calibr_sandbox.search import EVERYTHING, Filter
from calibr_sandbox.store import Reader

_MARKETS: Final = f"SELECT {', '.join(f'm.{name}' for name in MarketRow._fields)} FROM market m"  # noqa: S608 - own columns
_CATALOGS: Final = f"SELECT {', '.join(f'c.{name}' for name in CatalogRow._fields)} FROM catalog c"  # noqa: S608
_LOCATIONS: Final = f"SELECT {', '.join(f'l.{name}' for name in CompanyLocationRow._fields)} FROM company_location l"  # noqa: S608
_KIND: Final = {name: kind for kind, name in GID_TYPE.items()}


def list_markets(store: Reader, where: Filter = EVERYTHING) -> list[MarketRow]:
    """List the markets that match, by id."""
    return [MarketRow._make(row) for row in store.fetch_all(f"{_MARKETS} WHERE {where.sql}", where.parameters)]


def find_market(store: Reader, number: int) -> MarketRow | None:
    """Return the market, or None."""
    row = store.fetch_one(f"{_MARKETS} WHERE m.id = ?", (number,))
    return MarketRow._make(row) if row else None


def regions_of(store: Reader, market: MarketRow) -> list[RegionRow]:
    """List the countries of a market."""
    rows = store.fetch_all("SELECT id, market_id, country FROM market_region WHERE market_id = ?", (market.id,))
    return [RegionRow(number, own, country, market.base_currency) for number, own, country in rows]


def find_region(store: Reader, number: int) -> RegionRow | None:
    """Return the country of a market, or None."""
    sql = (
        "SELECT r.id, r.market_id, r.country, m.base_currency FROM market_region r JOIN market m ON m.id = r.market_id"
    )
    row = store.fetch_one(f"{sql} WHERE r.id = ?", (number,))
    return RegionRow._make(row) if row else None


def markets_of(store: Reader, catalog: CatalogRow) -> list[MarketRow]:
    """List the markets that a catalog applies to."""
    sql = f"{_MARKETS} JOIN catalog_context x ON x.context_id = m.id WHERE x.catalog_id = ?"
    return [MarketRow._make(row) for row in store.fetch_all(sql, (catalog.id,))] if catalog.kind == "MARKET" else []


def locations_of(store: Reader, catalog: CatalogRow) -> list[CompanyLocationRow]:
    """List the company locations that a catalog applies to."""
    if catalog.kind != "COMPANY_LOCATION":
        return []
    sql = f"{_LOCATIONS} JOIN catalog_context x ON x.context_id = l.id WHERE x.catalog_id = ?"
    return [CompanyLocationRow._make(row) for row in store.fetch_all(sql, (catalog.id,))]


def list_catalogs(store: Reader, where: Filter = EVERYTHING) -> list[CatalogRow]:
    """List the catalogs that match."""
    return [CatalogRow._make(row) for row in store.fetch_all(f"{_CATALOGS} WHERE {where.sql}", where.parameters)]


def catalogs_in(store: Reader, kind: str, context: int) -> list[CatalogRow]:
    """List the catalogs of one kind that apply to a market or a company location."""
    sql = f"{_CATALOGS} JOIN catalog_context x ON x.catalog_id = c.id WHERE c.kind = ? AND x.context_id = ?"
    return [CatalogRow._make(row) for row in store.fetch_all(sql, (kind, context))]


def find_catalog(store: Reader, text: str) -> CatalogRow | None:
    """Return the catalog with this global id; None for an unknown one, or one of another kind.

    Raises Shopify's error for the id of something that is no catalog.
    """
    parsed = parse_gid(text)
    if parsed is None:
        raise InvalidGlobalIdError(text)
    if parsed.type_name not in _KIND:
        raise ResourceNotFoundError(text)
    row = store.fetch_one(f"{_CATALOGS} WHERE c.id = ? AND c.kind = ?", (parsed.number, _KIND[parsed.type_name]))
    return CatalogRow._make(row) if row else None


def catalog_of_list(store: Reader, price_list_id: int) -> CatalogRow | None:
    """Return the catalog that a price list belongs to, or None."""
    return _catalog_with(store, "price_list_id", price_list_id)


def catalog_of_publication(store: Reader, publication_id: int) -> CatalogRow | None:
    """Return the catalog that a publication belongs to, or None."""
    return _catalog_with(store, "publication_id", publication_id)


def find_publication(store: Reader, number: int) -> PublicationRow | None:
    """Return the publication, or None."""
    row = store.fetch_one("SELECT id, auto_publish FROM publication WHERE id = ?", (number,))
    return PublicationRow._make(row) if row else None


def find_company(store: Reader, number: int) -> CompanyRow | None:
    """Return the company, or None."""
    row = store.fetch_one("SELECT id, name, external_id, created_at FROM company WHERE id = ?", (number,))
    return CompanyRow._make(row) if row else None


def find_location(store: Reader, number: int) -> CompanyLocationRow | None:
    """Return the company location, or None."""
    row = store.fetch_one(f"{_LOCATIONS} WHERE l.id = ?", (number,))
    return CompanyLocationRow._make(row) if row else None


def list_locations(store: Reader, company_id: int) -> list[CompanyLocationRow]:
    """List the locations of a company."""
    rows = store.fetch_all(f"{_LOCATIONS} WHERE l.company_id = ?", (company_id,))
    return [CompanyLocationRow._make(row) for row in rows]


def markets_for_country(store: Reader, country: str) -> list[MarketRow]:
    """List the active markets that sell to a country."""
    sql = f"{_MARKETS} JOIN market_region r ON r.market_id = m.id WHERE r.country = ? AND m.status = 'ACTIVE'"
    return [MarketRow._make(row) for row in store.fetch_all(f"{sql} ORDER BY m.id", (country,))]


def _catalog_with(store: Reader, column: str, value: Any) -> CatalogRow | None:  # noqa: ANN401 - any column's value
    row = store.fetch_one(f"{_CATALOGS} WHERE c.{column} = ?", (value,))
    return CatalogRow._make(row) if row else None
