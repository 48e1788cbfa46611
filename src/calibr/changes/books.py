"""The price lists of a change as places at a store: which book each one is, and in which order they are written."""

from collections.abc import Iterable

from calibr.catalog import PriceList
from calibr.connectors.port import Capability, Connector
from calibr.connectors.port.price_lists import HasPriceLists, PriceBook
from calibr.core.errors import Conflict


def in_order_of_writing(price_lists: Iterable[PriceList]) -> list[PriceList]:
    """Base prices come last: a list that follows them would show another price than its plan was made from.

    Taking a change back takes the same order: what goes back to relative is judged by being relative, not by an amount.
    """
    return sorted(price_lists, key=lambda price_list: (price_list.is_base, price_list.id))


def book_of(connector: Connector, price_list: PriceList) -> PriceBook:
    """Where the prices of a list are read and written; lives as long as the connector.

    Raises Conflict `connector_read_only`.
    """
    if Capability.WRITE_PRICES not in connector.capabilities:
        text = f"the connector {connector.kind} of price list {price_list.name} cannot write prices"
        raise Conflict("connector_read_only", text)
    if price_list.is_base or price_list.external_id is None:
        return connector
    if not isinstance(connector, HasPriceLists):
        text = f"the connector {connector.kind} writes base prices only, not price list {price_list.name}"
        raise Conflict("connector_read_only", text)
    return connector.price_book(price_list.external_id)
