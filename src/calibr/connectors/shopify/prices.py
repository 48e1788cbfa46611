"""Current prices of listings: `nodes(ids:)` in batches, side by side under the throttle."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final, TypeVar

from calibr.connectors.port import RemotePrice
from calibr.connectors.shopify.batches import MAX_ARRAY, cut, run_all, send_splitting
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import PRICES, SHOP
from calibr.connectors.shopify.errors import PROTOCOL, CallError
from calibr.connectors.shopify.gids import VARIANT, from_gid, is_short_id, to_gid
from calibr.connectors.shopify.money import Unreadable, read_amount, read_optional_amount
from calibr.connectors.shopify.shapes import as_list, as_object, as_text
from calibr.core.errors import Fault, Invalid
from calibr.core.money import is_currency

CURRENCY_AGE_S: Final = 300.0
"""How long a store's currency is believed without asking again: it rarely changes, but misreading it is expensive."""

Found = TypeVar("Found")


class ShopCurrency:
    """The currency in which the store means its amounts, as its last answer said. Thread-safe."""

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client
        self._lock = Lock()
        self._code: str | None = None
        self._noted_at = 0.0

    def note(self, shop: object) -> str:
        """Keep what an answer's `shop` says, and return it."""
        code = as_text(as_object(shop, "shop").get("currencyCode"), "shop.currencyCode")
        if not is_currency(code):
            raise CallError(PROTOCOL, f"The store's currency {code[:8]!r} is not an ISO 4217 currency.")
        with self._lock:
            self._code, self._noted_at = code, self._client.throttle.clock()
        return code

    def get(self, until: float) -> str:
        """Return the currency, asking the store if the last answer is too old."""
        with self._lock:
            code, age = self._code, self._client.throttle.clock() - self._noted_at
        if code is not None and age < CURRENCY_AGE_S:
            return code
        return self.note(self._client.insist(SHOP, {}, rows=1, until=until).get("shop"))


class PriceReader:
    """Reads prices by short variant id. Thread-safe."""

    def __init__(self, client: ShopifyClient, currency: ShopCurrency, pool: ThreadPoolExecutor) -> None:
        self._client = client
        self._currency = currency
        self._pool = pool

    def read(self, external_ids: Sequence[str], currency: str, until: float) -> dict[str, RemotePrice]:
        """Return the price of each listing that the store still has. Raises `CallError` if any batch fails."""
        return read_batches(self._pool, external_ids, lambda ids: self._read_once(ids, currency, until))

    def learn_cost(self, until: float) -> None:
        """Ask for as many prices as one call takes, of whatever variants, so that the answer says what that costs.

        The cost follows from the length of the list and not from what is found. Raises `CallError`.
        """
        ids = [to_gid(VARIANT, str(number)) for number in range(1, MAX_ARRAY + 1)]
        self._client.insist(PRICES, {"ids": ids}, rows=MAX_ARRAY, until=until)

    def _read_once(self, ids: Sequence[str], currency: str, until: float) -> dict[str, RemotePrice]:
        variables = {"ids": [to_gid(VARIANT, short_id) for short_id in ids]}
        data = self._client.insist(PRICES, variables, rows=len(ids), until=until)
        told = self._currency.note(data.get("shop"))
        if told != currency:
            raise CallError(PROTOCOL, f"The store's currency is {told}, but the price list is in {currency}.")
        nodes = as_list(data.get("nodes"), "nodes")
        prices = (read_price(node, currency) for node in nodes if node is not None)
        return {price.external_id: price for price in prices if price is not None}


def read_batches(
    pool: ThreadPoolExecutor,
    external_ids: Sequence[str],
    read_once: Callable[[Sequence[str]], Mapping[str, Found]],
    size: int = MAX_ARRAY,
) -> dict[str, Found]:
    """Read what is asked for in batches side by side, each in one call or in halves of halves.

    Raises `Invalid` for what is no variant's number, and `CallError` if any batch fails.
    """
    wrong = next((given for given in external_ids if not is_short_id(given)), None)
    if wrong is not None:
        fault = Fault("$.external_ids", wrong[:40], "must be the number of a Shopify variant")
        raise Invalid("connector.external_id", f"external id {wrong[:40]!r} {fault.rule}.", faults=(fault,))
    batches = cut(list(dict.fromkeys(external_ids)), size)
    found: dict[str, Found] = {}
    for parts in run_all(pool, lambda batch: send_splitting(read_once, batch), batches):
        for part in parts:
            found.update(part)
    return found


def read_price(node: object, currency: str) -> RemotePrice | None:
    """Read a variant of an answer; None if it is no variant. Both amounts are null if one does not fit the currency."""
    shown: dict[str, Any] = as_object(node, "variant")
    external_id = from_gid(VARIANT, shown.get("id"))
    if external_id is None:
        return None
    price = read_amount(shown.get("price"), currency)
    if isinstance(price, Unreadable):
        return RemotePrice(external_id, currency, None, None, fault=price.rule)
    compare_at = read_optional_amount(shown.get("compareAtPrice"), currency)
    if isinstance(compare_at, Unreadable):
        return RemotePrice(external_id, currency, None, None, fault=compare_at.rule)
    return RemotePrice(external_id, currency, price, compare_at)
