"""A store's price lists and markets, and where a buyer has to be to get the prices of a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import Any, Final

from calibr.connectors.port import CatalogFinding
from calibr.connectors.port.price_lists import Audience, RemoteMarket, RemotePriceList
from calibr.connectors.shopify.batches import MAX_ARRAY, cut
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import BuyerContext, is_country
from calibr.connectors.shopify.documents import COMPANY_LOCATIONS, MARKETS, PRICE_LISTS
from calibr.connectors.shopify.errors import PROTOCOL, UNAUTHORIZED, CallError
from calibr.connectors.shopify.gids import COMPANY_LOCATION, MARKET, PRICE_LIST, from_gid
from calibr.connectors.shopify.pages import read_pages
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.shapes import as_count, as_list, as_object, as_text
from calibr.core.money import is_currency

LISTS_POINTS: Final = 130
MARKETS_POINTS: Final = 300
PLACES_AGE_S: Final = 300.0
"""How long it is believed where the buyers of a list are: it decides only whether a relative price can be told."""

_AUDIENCES: Final[Mapping[str, Audience]] = {
    "MarketCatalog": Audience.MARKET, "CompanyLocationCatalog": Audience.COMPANY, "AppCatalog": Audience.APP,
}  # fmt: skip
_PPM_PER_PERCENT: Final = 10_000
_RULE: Final = "is not an ISO 4217 currency"


@dataclass(frozen=True, slots=True)
class StoreLists:
    """What a store has. `contexts` says where to ask for the relative prices of a list, for those that can be asked."""

    price_lists: tuple[RemotePriceList, ...]
    markets: tuple[RemoteMarket, ...]
    contexts: Mapping[str, BuyerContext]
    findings: tuple[CatalogFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class _List:
    """A list with the catalog that it belongs to, and that catalog's markets."""

    shown: RemotePriceList
    catalog: str | None
    markets: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Market:
    """A market with the currency that buyers in each of its countries see."""

    shown: RemoteMarket
    currencies: Mapping[str, str] = field(default_factory=dict)


class StoreMarkets:
    """Reads lists and markets. Thread-safe; remembers for a while where the buyers of each list are."""

    def __init__(self, client: ShopifyClient, currency: ShopCurrency) -> None:
        self._client = client
        self._currency = currency
        self._lock = Lock()
        self._contexts: Mapping[str, BuyerContext] | None = None
        self._noted_at = 0.0

    def read(self, until: float | None = None) -> StoreLists:
        """Read everything but prices. Raises `CallError`."""
        client, now = self._client, self._client.throttle.clock()
        pages = read_pages(
            client, PRICE_LISTS, {}, lambda data: data.get("priceLists"), points=LISTS_POINTS, until=until
        )
        lists = [read_list(node) for page in pages for node in page]
        own = self._currency.get(now + client.times.send_window_s if until is None else until)
        pages = read_pages(client, MARKETS, {}, lambda data: data.get("markets"), points=MARKETS_POINTS, until=until)
        markets = [_read_market(node, own) for page in pages for node in page]
        findings = tuple(_odd_currencies(lists, markets))
        lists = [each for each in lists if is_currency(each.shown.currency)]
        markets = [_with_lists(each, lists) for each in markets if is_currency(each.shown.currency)]
        contexts = _countries(lists, markets) | self._locations(lists, until)
        with self._lock:
            self._contexts, self._noted_at = contexts, now
        return StoreLists(
            tuple(each.shown for each in lists), tuple(each.shown for each in markets), contexts, findings
        )

    def context_of(self, price_list: str, until: float) -> BuyerContext | None:
        """Where to ask for the relative prices of a list, asking the store if its last answer is too old."""
        with self._lock:
            contexts, age = self._contexts, self._client.throttle.clock() - self._noted_at
        if contexts is None or age >= PLACES_AGE_S:
            contexts = self.read(until).contexts
        return contexts.get(price_list)

    def forget(self) -> None:
        """Ask again next time."""
        with self._lock:
            self._contexts = None

    def _locations(self, lists: Sequence[_List], until: float | None) -> dict[str, BuyerContext]:
        """A location for each list of companies; none without the scope to see them."""
        wanted = {
            each.catalog: each.shown.external_id
            for each in lists
            if each.shown.audience is Audience.COMPANY and each.shown.active and each.catalog is not None
        }
        found: dict[str, BuyerContext] = {}
        for ids in cut(list(wanted), MAX_ARRAY):
            for node in self._ask_locations(ids, until):
                gids = [place.get("id") for place in _nodes(node.get("companyLocations"), "companyLocations")]
                if gids and from_gid(COMPANY_LOCATION, gids[0]) is not None:
                    found[wanted[as_text(node.get("id"), "catalog.id")]] = BuyerContext(location=gids[0])
        return found

    def _ask_locations(self, ids: Sequence[str], until: float | None) -> list[dict[str, Any]]:
        window = self._client.throttle.clock() + self._client.times.send_window_s if until is None else until
        try:
            data = self._client.insist(COMPANY_LOCATIONS, {"ids": list(ids)}, rows=len(ids), until=window)
        except CallError as error:
            if error.code != UNAUTHORIZED:
                raise
            return []
        nodes = as_list(data.get("nodes"), "nodes")
        return [as_object(node, "catalog") for node in nodes if node]


def read_list(node: Mapping[str, Any]) -> _List:
    """Read a price list of an answer. Raises `CallError` for one of another shape."""
    catalog = None if node.get("catalog") is None else as_object(node.get("catalog"), "catalog")
    ppm, adjusts_compare_at = _read_parent(node.get("parent"))
    nodes = [] if catalog is None else _nodes(catalog.get("markets"), "catalog.markets")
    shown = RemotePriceList(
        external_id=_short(PRICE_LIST, node.get("id")),
        name=as_text(node.get("name"), "priceList.name"),
        currency=as_text(node.get("currency"), "priceList.currency"),
        audience=Audience.NOBODY
        if catalog is None
        else _AUDIENCES.get(str(catalog.get("__typename")), Audience.NOBODY),
        active=catalog is not None and catalog.get("status") == "ACTIVE",
        adjustment_ppm=ppm,
        adjusts_compare_at=adjusts_compare_at,
        fixed_prices=as_count(node.get("fixedPricesCount"), "priceList.fixedPricesCount"),
    )
    markets = frozenset(_short(MARKET, each.get("id")) for each in nodes)
    return _List(shown, None if catalog is None else as_text(catalog.get("id"), "catalog.id"), markets)


def _read_parent(parent: object) -> tuple[int, bool]:
    """The adjustment in millionths, and whether compare-at prices are adjusted too. No parent adjusts nothing."""
    if parent is None:
        return 0, True
    shown = as_object(parent, "priceList.parent")
    adjustment = as_object(shown.get("adjustment"), "parent.adjustment")
    settings = as_object(shown.get("settings"), "parent.settings")
    try:
        # A JSON number arrives as a float; its shortest text is what the store wrote.
        ppm = int((Decimal(str(adjustment.get("value"))) * _PPM_PER_PERCENT).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise CallError(PROTOCOL, "Shopify shows an adjustment that is not a number.") from error
    sign = -1 if adjustment.get("type") == "PERCENTAGE_DECREASE" else 1
    return sign * ppm, settings.get("compareAtMode") != "NULLIFY"


def _read_market(node: Mapping[str, Any], own_currency: str) -> _Market:
    """A market without currency settings of its own sells in the store's currency."""
    settings = node.get("currencySettings")
    base = own_currency
    if settings is not None:
        given = as_object(as_object(settings, "currencySettings").get("baseCurrency"), "baseCurrency")
        base = as_text(given.get("currencyCode"), "baseCurrency.currencyCode")
    currencies = {
        region["code"]: as_text(
            as_object(region.get("currency"), "region.currency").get("currencyCode"), "currencyCode"
        )
        for region in _regions(node)
        if is_country(region.get("code"))
    }
    external_id, name = _short(MARKET, node.get("id")), as_text(node.get("name"), "market.name")
    return _Market(
        RemoteMarket(external_id, name, node.get("status") == "ACTIVE", base, tuple(currencies), ()), currencies
    )


def _regions(market: Mapping[str, Any]) -> list[dict[str, Any]]:
    conditions = as_object(market.get("conditions") or {}, "conditions")
    condition = as_object(conditions.get("regionsCondition") or {}, "regionsCondition")
    return _nodes(condition.get("regions"), "regions")


def _nodes(connection: object, what: str) -> list[dict[str, Any]]:
    """The nodes of a connection; none where the object has no such connection."""
    shown = as_object(connection or {"nodes": []}, what)
    return [as_object(node, f"{what} node") for node in as_list(shown.get("nodes"), f"{what}.nodes")]


def _with_lists(market: _Market, lists: Sequence[_List]) -> _Market:
    in_force = (
        each.shown.external_id for each in lists if each.shown.active and market.shown.external_id in each.markets
    )
    return replace(market, shown=replace(market.shown, price_lists=tuple(in_force)))


def _countries(lists: Sequence[_List], markets: Sequence[_Market]) -> dict[str, BuyerContext]:
    """A country for each list: one whose buyers see the list's currency, and where no other list is in force.

    Where several are, the lowest price holds, which may be another list's: then a list has no country to ask in.
    """
    active = [market for market in markets if market.shown.active]
    crowds = Counter(code for market in active for code in market.shown.countries for _ in market.shown.price_lists)
    found: dict[str, BuyerContext] = {}
    for each in lists:
        fit = [
            code
            for market in active
            if each.shown.external_id in market.shown.price_lists
            for code, currency in market.currencies.items()
            if currency == each.shown.currency and crowds[code] == 1
        ]
        if fit:
            found[each.shown.external_id] = BuyerContext(min(fit))
    return found


def _odd_currencies(lists: Sequence[_List], markets: Sequence[_Market]) -> list[CatalogFinding]:
    """What is left out, since nobody could say what its amounts mean."""
    named = [(each.shown.external_id, "price_list.currency", each.shown.currency) for each in lists]
    named += [(each.shown.external_id, "market.currency", each.shown.currency) for each in markets]
    return [CatalogFinding(who, what, code[:8], _RULE) for who, what, code in named if not is_currency(code)]


def _short(kind: str, gid: object) -> str:
    found = from_gid(kind, gid)
    if found is None:
        raise CallError(PROTOCOL, f"Shopify's answer has an id that names no {kind}.")
    return found
