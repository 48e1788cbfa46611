"""What a price list says of some listings now: fixed prices, and for the others what buyers pay instead."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from calibr.connectors.port import RemotePrice
from calibr.connectors.shopify.batches import MAX_ARRAY, cut
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import (
    COUNTRIES_AT_ONCE,
    BuyerContext,
    ShownPrice,
    alias,
    call_for,
    in_currency,
    read_shown,
    require_countries,
)
from calibr.connectors.shopify.costs import FIXED_POINTS, MAX_CALL_COST
from calibr.connectors.shopify.documents import FIXED_PRICES, PRICES, PRICES_IN_CONTEXT
from calibr.connectors.shopify.errors import PRICE_LIST_GONE, PROTOCOL, CallError
from calibr.connectors.shopify.gids import PRICE_LIST, VARIANT, from_gid, to_gid
from calibr.connectors.shopify.markets import StoreMarkets
from calibr.connectors.shopify.money import Unreadable
from calibr.connectors.shopify.prices import read_batches
from calibr.connectors.shopify.shapes import as_list, as_object


class ListPriceReader:
    """Reads prices of one list by short variant id. Thread-safe."""

    def __init__(self, client: ShopifyClient, markets: StoreMarkets, pool: ThreadPoolExecutor, price_list: str) -> None:
        self._client = client
        self._markets = markets
        self._pool = pool
        self._price_list = price_list

    def read(self, external_ids: Sequence[str], currency: str, until: float) -> dict[str, RemotePrice]:
        """Return what the list says of each listing that the store still has.

        Raises `CallError` if any batch fails, with `PRICE_LIST_GONE` if the store has no such list any more.
        """
        return read_batches(self._pool, external_ids, lambda ids: self._read_once(ids, currency, until))

    def _read_once(self, ids: Sequence[str], currency: str, until: float) -> dict[str, RemotePrice]:
        variables = {"id": to_gid(PRICE_LIST, self._price_list), "query": listing_query(ids), "after": None}
        data = self._client.insist(FIXED_PRICES, variables, rows=FIXED_POINTS, until=until)
        price_list = require_list(self._price_list, data)
        if price_list.get("currency") != currency:
            told = str(price_list.get("currency"))[:8]
            raise CallError(PROTOCOL, f"The price list's currency is {told} in the store, and not {currency}.")
        nodes = as_list(as_object(price_list.get("prices"), "prices").get("nodes"), "prices.nodes")
        fixed = {
            external_id: in_currency(external_id, shown, currency, relative=False)
            for external_id, shown, _ in map(read_listed, nodes)
        }
        if not fixed.keys() <= set(ids):
            # A condition that the store leaves out would make fixed prices beyond the page look relative.
            raise CallError(PROTOCOL, "The store shows fixed prices of other listings than the ones asked for.")
        rest = [external_id for external_id in ids if external_id not in fixed]
        return fixed | (self._read_relative(rest, currency, until) if rest else {})

    def _read_relative(self, ids: Sequence[str], currency: str, until: float) -> dict[str, RemotePrice]:
        context = self._markets.context_of(self._price_list, until)
        if context is None:
            return {each: RemotePrice(each, currency, None, None, relative=True) for each in self._existing(ids, until)}
        found = self._ask_in(context, ids, until)
        return {each: in_currency(each, shown, currency, relative=True) for each, shown in found.items()}

    def _ask_in(self, context: BuyerContext, ids: Sequence[str], until: float) -> dict[str, ShownPrice | Unreadable]:
        variables = {"ids": _gids(ids), "context": context.variable}
        try:
            data = self._client.insist(PRICES_IN_CONTEXT, variables, rows=len(ids), until=until)
        except CallError as error:
            if error.code == PROTOCOL:
                self._markets.forget()  # it may be that the place is there no more
            raise
        return {found: read_shown(node.get("contextualPricing")) for found, node in _variants(data)}

    def _existing(self, ids: Sequence[str], until: float) -> list[str]:
        data = self._client.insist(PRICES, {"ids": _gids(ids)}, rows=len(ids), until=until)
        return [found for found, _ in _variants(data)]


class MarketPriceReader:
    """Reads what buyers in countries pay. Thread-safe."""

    def __init__(self, client: ShopifyClient, pool: ThreadPoolExecutor) -> None:
        self._client = client
        self._pool = pool

    def read(
        self, external_ids: Sequence[str], countries: Sequence[str], until: float
    ) -> Mapping[str, Mapping[str, RemotePrice]]:
        """Return the prices by country and external id, in the currency that is shown there. Raises `CallError`."""
        require_countries(countries)
        found: dict[str, dict[str, RemotePrice]] = {country: {} for country in countries}
        for part in cut(list(found), COUNTRIES_AT_ONCE):
            # Should each price cost a point, which nobody promises against, a call still keeps within what is allowed.
            size = min(MAX_ARRAY, MAX_CALL_COST // (1 + len(part)))
            prices = read_batches(self._pool, external_ids, partial(self._ask, part, until), size)
            for external_id, shown in prices.items():
                for country, price in shown.items():
                    found[country][external_id] = price
        return found

    def _ask(self, countries: Sequence[str], until: float, ids: Sequence[str]) -> dict[str, dict[str, RemotePrice]]:
        places = {alias(place): country for place, country in enumerate(countries)}
        variables = {"ids": _gids(ids), **places}
        data = self._client.insist(call_for(len(countries)), variables, rows=len(ids), until=until)
        return {
            found: {country: _as_shown(found, node.get(place)) for place, country in places.items()}
            for found, node in _variants(data)
        }


def require_list(price_list: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The list of an answer. Raises `CallError` `PRICE_LIST_GONE` if the store has none of this id."""
    if data.get("priceList") is None:
        raise CallError(PRICE_LIST_GONE, f"The store has no price list {price_list} any more.")
    return as_object(data.get("priceList"), "priceList")


def listing_query(external_ids: Sequence[str]) -> str:
    """The search that finds the prices of some listings on a list."""
    return " OR ".join(f"variant_id:{external_id}" for external_id in external_ids)


def read_listed(node: object) -> tuple[str, ShownPrice | Unreadable, dict[str, Any]]:
    """Read a price of a list: of which listing, what, and the node itself. Raises `CallError`."""
    shown = as_object(node, "price")
    external_id = from_gid(VARIANT, as_object(shown.get("variant"), "variant").get("id"))
    if external_id is None:
        raise CallError(PROTOCOL, "Shopify shows a price of a list that is for no variant.")
    return external_id, read_shown(shown), shown


def _as_shown(external_id: str, pricing: object) -> RemotePrice:
    """In the currency that is told."""
    shown = read_shown(pricing)
    if isinstance(shown, Unreadable):
        told = as_object(as_object(pricing, "price").get("price"), "price").get("currencyCode")
        return RemotePrice(external_id, str(told)[:8], None, None, shown.rule)
    return RemotePrice(external_id, shown.currency, shown.unit_amount, shown.compare_at)


def _gids(ids: Sequence[str]) -> list[str]:
    return [to_gid(VARIANT, external_id) for external_id in ids]


def _variants(data: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The variants among the nodes of an answer, which may lack some."""
    nodes = [as_object(node, "variant") for node in as_list(data.get("nodes"), "nodes") if node is not None]
    return [(found, node) for node in nodes if (found := from_gid(VARIANT, node.get("id"))) is not None]
