"""The Shopify connector: one store behind the port, made of a client, a throttle and a pool of threads."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2

from calibr.connectors.port import (
    BulkWriter,
    Capability,
    CatalogStream,
    Estimate,
    Health,
    PriceWrite,
    Progress,
    RemotePrice,
    WriteResult,
)
from calibr.connectors.port.budget import BudgetKeeper
from calibr.connectors.port.credentials import CredentialKeeper, Issued
from calibr.connectors.port.price_lists import PriceBook, PriceListReading
from calibr.connectors.port.reading import ReadingLog, Unnoted
from calibr.connectors.port.webhooks import RemoteWebhook
from calibr.connectors.shopify.bucket import BucketView
from calibr.connectors.shopify.bulk_write import BulkPriceWriter
from calibr.connectors.shopify.catalog import CatalogReader
from calibr.connectors.shopify.client import CallTimes, ShopifyClient
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.documents import UPDATE_FIXED_PRICES, UPDATE_PRICES, Document
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.estimates import Pace, estimate
from calibr.connectors.shopify.gids import is_short_id
from calibr.connectors.shopify.health import check
from calibr.connectors.shopify.list_breaks import BreakGuard
from calibr.connectors.shopify.list_prices import ListPriceReader, MarketPriceReader
from calibr.connectors.shopify.list_writes import ListPriceWriter
from calibr.connectors.shopify.markets import StoreMarkets
from calibr.connectors.shopify.methods import AuthMethod
from calibr.connectors.shopify.oauth import OAuth
from calibr.connectors.shopify.price_book import ShopifyPriceBook
from calibr.connectors.shopify.price_lists import PriceListReader
from calibr.connectors.shopify.prices import PriceReader, ShopCurrency
from calibr.connectors.shopify.subscriptions import list_webhooks, subscribe_webhook
from calibr.connectors.shopify.throttle import CALL_S, Throttle
from calibr.connectors.shopify.tokens import Tokens
from calibr.connectors.shopify.writes import PriceWriter
from calibr.core.errors import Fault, Invalid
from calibr.core.ids import new_uuid

KIND: Final = "shopify"
CHECK_WINDOW_S: Final = 15.0
SPARE_CONNECTIONS: Final = 8
"""For calls outside the pool of threads (checks, polls, downloads), so that none waits for a connection."""

CALLS_AT_ONCE: Final = 32
"""The largest plans restore points for about 90 small writes a second; at 0.3 s each that keeps 27 calls under way."""


class ShopifyConnector:
    """See `connectors.port.Connector`. Thread-safe; concurrent calls share throttle, threads and connections."""

    kind: str = KIND
    capabilities: frozenset[Capability] = frozenset(Capability)

    def __init__(
        self,
        config: StoreConfig,
        *,
        call_s: float = CALL_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        times = CallTimes.of(call_s)
        self.request_timeout_s: float = times.call_s
        # Rows without a turn in this time come back as RETRY.
        self._send_window_s = times.send_window_s
        self._throttle = Throttle(call_s=times.call_s)
        self._config = config
        self._oauth = None if config.app is None else OAuth(config, config.app, transport=transport)
        self._tokens = Tokens(config, self._oauth)
        self._client = ShopifyClient(
            config,
            self._throttle,
            connections=CALLS_AT_ONCE + SPARE_CONNECTIONS,
            times=times,
            transport=transport,
            tokens=self._tokens,
        )
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="shopify")
        self._currency = ShopCurrency(self._client)
        self._reader = PriceReader(self._client, self._currency, self._pool)
        self._writer = PriceWriter(self._client, self._currency, self._pool)
        self._catalog = CatalogReader(self._client, self._currency)
        self._markets = StoreMarkets(self._client, self._currency)
        self._lists = PriceListReader(self._client, self._markets)
        self._market_prices = MarketPriceReader(self._client, self._pool)
        self.bulk: BulkWriter | None = BulkPriceWriter(self._client, self._currency)

    def use_keeper(self, keeper: CredentialKeeper) -> None:
        """Take access tokens from `keeper`, which shares them with all other processes."""
        self._tokens.use_keeper(keeper)

    def use_budget(self, keeper: BudgetKeeper) -> None:
        """Share the store's rate limit with all processes that call it as the same app."""
        self._throttle.use_budget(keeper, self._config.caller)

    @property
    def needs_consent(self) -> bool:
        """Whether the owner of the store has to agree in the browser."""
        return self._config.method is AuthMethod.AUTHORIZATION_CODE

    @property
    def account(self) -> str:
        """The app in the store: Shopify keeps one refreshable token for both together."""
        return f"{'' if self._config.app is None else self._config.app.client_id}@{self._config.shop_url}"

    def consent_url(self, redirect_uri: str, state: str) -> str:
        """The page on which the owner agrees."""
        return self._consent().consent_url(redirect_uri, state)

    def verify_return(self, query: Mapping[str, str]) -> str:
        """Judge what the owner's browser brought back and return the code. Raises Invalid `connection.return`."""
        return self._consent().verify_return(query)

    def redeem(self, code: str) -> Issued:
        """Exchange the code for the first pair of tokens. Raises `Upstream`."""
        return self._consent().by_code(code)

    def check(self) -> Health:
        """Ask the store about itself; a store that cannot be used is an answer with problems, not an error."""
        return check(self._client, self._currency, self._until(CHECK_WINDOW_S))

    def read_catalog(self, work_dir: Path, progress: Progress) -> CatalogStream:
        """Export the whole catalog by a bulk operation into a file in `work_dir` and stream its rows."""
        return self._catalog.read(work_dir, progress, Unnoted(f"CalibrCatalog_{new_uuid().hex}", datetime.now(UTC)))

    def read_catalog_noted(self, work_dir: Path, progress: Progress, log: ReadingLog) -> CatalogStream:
        """Do the same for one that may be taken over, or that reads only what changed."""
        return self._catalog.read(work_dir, progress, log)

    def count_listings(self) -> int:
        """Ask how many variants the store has."""
        return self._catalog.count()

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        """Read current prices. Raises `Upstream` if the store fails or means another currency."""
        return self._reader.read(external_ids, currency, self._until(self._send_window_s))

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:
        """Write absolute prices; one result per write, in order. No request leaves after `until`.

        A failing connection is a `RETRY` (nothing sent) or `UNKNOWN` (sent, no answer) with its `upstream.*` code for
        each row. Raises `Invalid`, before anything is sent, if a listing comes twice.
        """
        window = self._until(self._send_window_s)
        return self._writer.write(list(writes), window if until is None else min(window, until))

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        """Estimate reading, writing and reading back, by what the store's answers said so far.

        A connector that has not spoken to its store yet asks it once, since the rate differs tenfold between plans, and
        nobody says what reading costs.
        """
        pace = self._pace(UPDATE_PRICES)
        return estimate(rows_per_group, self._client.costs, pace, self._client.config.write_path)

    def read_price_lists(self, work_dir: Path, progress: Progress) -> PriceListReading:
        """Read all price lists, their prices and the markets, by exports into files in `work_dir`."""
        return self._lists.read(work_dir, progress)

    def price_book(self, external_id: str) -> PriceBook:
        """The prices of one list. Raises `Invalid` for what is no list's number."""
        if not is_short_id(external_id):
            fault = Fault("$.external_id", external_id[:40], "must be the number of a Shopify price list")
            raise Invalid("connector.external_id", f"external id {external_id[:40]!r} {fault.rule}.", faults=(fault,))
        reader = ListPriceReader(self._client, self._markets, self._pool, external_id)
        guard = BreakGuard(self._client, external_id)
        writer = ListPriceWriter(self._client, guard, external_id)
        return ShopifyPriceBook(self._client, reader, writer, lambda: self._pace(UPDATE_FIXED_PRICES))

    def read_market_prices(
        self, external_ids: Sequence[str], countries: Sequence[str]
    ) -> Mapping[str, Mapping[str, RemotePrice]]:
        """Read what buyers in each country pay. Raises `Upstream`, and `Invalid` for what is no country code."""
        return self._market_prices.read(external_ids, countries, self._until(self._send_window_s))

    def list_webhooks(self) -> Sequence[RemoteWebhook]:
        """List what this app gets from the store."""
        return list_webhooks(self._client, self._until(self._send_window_s))

    def subscribe_webhook(self, topic: str, url: str) -> None:
        """Have a topic sent to an address; one that is sent there already changes nothing."""
        subscribe_webhook(self._client, topic, url, self._until(self._send_window_s))

    def bucket(self) -> BucketView:
        """Describe the store's rate limit as of now, with the calls granted and refused so far."""
        return self._throttle.view()

    def close(self) -> None:
        """End threads and connections; calls under way end first."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _consent(self) -> OAuth:
        if self._oauth is None or not self.needs_consent:
            rule = f"is {self._config.method}; only {AuthMethod.AUTHORIZATION_CODE} asks the owner of the store"
            fault = Fault("$.config.auth.method", self._config.method, rule)
            raise Invalid("connection.no_consent", f"The method of this connection {rule}.", faults=(fault,))
        return self._oauth

    def _pace(self, document: Document) -> Pace:
        """How fast calls of this document go, asking the store once if it has not said so yet."""
        if not self._throttle.view().known:
            with suppress(CallError):  # without it, the estimate is on the careful side
                self._reader.learn_cost(self._until(CHECK_WINDOW_S))
        return Pace(self._throttle.view(), self._client.latencies_s.get(document.name), CALLS_AT_ONCE)

    def _until(self, seconds: float) -> float:
        return self._throttle.clock() + seconds
