"""What buyers in each market of a store pay for a product, asked of the store at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from calibr.catalog.model import Market
from calibr.catalog.reads import get_product
from calibr.catalog.reads_plan import list_markets
from calibr.connectors.port import Connector
from calibr.connectors.port.price_lists import HasPriceLists
from calibr.core.ids import ConnectionId, ProductId
from calibr.db import Session


@dataclass(frozen=True, slots=True)
class MarketPlace:
    """A listing, and the active markets of its store."""

    connection_id: ConnectionId
    external_id: str
    markets: Sequence[Market]


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """What buyers in one country of a market pay now, in minor units. No amount: the store does not sell it there."""

    connection_id: ConnectionId
    market_id: UUID
    market: str
    country: str
    currency: str
    unit_amount: int | None
    compare_at: int | None


def market_places(session: Session, product_id: ProductId) -> list[MarketPlace]:
    """Where a product is listed at a store with active markets. Raises NotFound."""
    listings = [each for each in get_product(session, product_id).channel_refs if each.active]
    places = []
    for listing in listings:
        markets = [m for m in list_markets(session, listing.connection_id) if m.active and m.countries]
        if markets:
            places.append(MarketPlace(listing.connection_id, listing.external_id, markets))
    return places


def market_prices(connector: Connector, place: MarketPlace) -> list[MarketPrice]:
    """Ask the store, in the order of the markets. Raises `Upstream`."""
    if not isinstance(connector, HasPriceLists):
        return []
    countries = {m.id: m.countries[0] for m in place.markets}
    shown = connector.read_market_prices([place.external_id], sorted(set(countries.values())))
    found = []
    for market in place.markets:
        country = countries[market.id]
        price = shown.get(country, {}).get(place.external_id)
        currency = market.currency if price is None else price.currency
        amounts = (None, None) if price is None else (price.unit_amount, price.compare_at)
        found.append(MarketPrice(place.connection_id, market.id, market.name, country, currency, *amounts))
    return found
