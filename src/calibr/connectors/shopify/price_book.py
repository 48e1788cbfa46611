"""One price list of a store, as the engine applies changes to it."""

from collections.abc import Callable, Iterable, Sequence

from calibr.connectors.port import BulkWriter, Estimate, PriceWrite, RemotePrice, WriteResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.estimates import Pace, estimate_list
from calibr.connectors.shopify.list_prices import ListPriceReader
from calibr.connectors.shopify.list_writes import ListPriceWriter


class ShopifyPriceBook:
    """See `connectors.port.price_lists.PriceBook`. Thread-safe, for as long as its connector is open."""

    def __init__(
        self, client: ShopifyClient, reader: ListPriceReader, writer: ListPriceWriter, pace: Callable[[], Pace]
    ) -> None:
        self.request_timeout_s: float = client.times.call_s
        self.bulk: BulkWriter | None = None
        self._client = client
        self._reader = reader
        self._writer = writer
        self._pace = pace

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        """Read what the list says. Raises `Upstream` if the store fails, means another currency or has no such list."""
        return self._reader.read(external_ids, currency, self._window())

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:
        """Set or take away fixed prices; one result per write, in order. No request leaves after `until`.

        Raises `Invalid`, before anything is sent, if a listing comes twice.
        """
        window = self._window()
        return self._writer.write(list(writes), window if until is None else min(window, until))

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        """Estimate reading, writing and reading back: calls take any rows, whatever their products."""
        return estimate_list(sum(rows_per_group), self._client.costs, self._pace())

    def _window(self) -> float:
        return self._client.throttle.clock() + self._client.times.send_window_s
