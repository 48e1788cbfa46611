"""Reads all price lists of a store with their prices: the fixed ones page by page, the relative ones by an export.

Shopify tells the relative prices of a list only in the currency of the shop, before it converts and rounds. What buyers
pay is told for a country or a company's location, for every listing in one export.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from calibr.connectors.port import CatalogFinding, Progress
from calibr.connectors.port.price_lists import (
    Audience,
    ListedPrice,
    PriceListReading,
    QuantityBreak,
    RemoteMarket,
    RemotePriceList,
)
from calibr.connectors.port.reading import Unnoted
from calibr.connectors.shopify import bulk, download
from calibr.connectors.shopify.batches import cut
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import LISTS_AT_ONCE, ShownPrice, alias, export_of, read_money, read_shown
from calibr.connectors.shopify.costs import FIXED_POINTS
from calibr.connectors.shopify.documents import FIXED_PRICES, FIXED_PRICES_WITH_BREAKS
from calibr.connectors.shopify.errors import PRICE_LIST_GONE, PROTOCOL, UNAVAILABLE, CallError
from calibr.connectors.shopify.export import Export
from calibr.connectors.shopify.gids import PRICE_LIST, VARIANT, from_gid, to_gid
from calibr.connectors.shopify.list_breaks import BREAKS_POINTS
from calibr.connectors.shopify.list_prices import read_listed, require_list
from calibr.connectors.shopify.list_staging import BLOCK, Findings, ListStaging
from calibr.connectors.shopify.markets import StoreLists, StoreMarkets
from calibr.connectors.shopify.money import Unreadable
from calibr.connectors.shopify.pages import read_pages
from calibr.connectors.shopify.shapes import as_count, as_list, as_object
from calibr.core.ids import new_uuid

FIXED_STAGE: Final = "fixed prices"
_STAGES: Final[Mapping[str, str]] = {
    bulk.STARTING: "starting the export of price lists",
    bulk.STAGE: "export of price lists",
    download.STAGE: "download of price lists",
}


class StoredReading:
    """A `PriceListReading` over staged prices."""

    def __init__(self, found: StoreLists, staging: ListStaging, findings: Findings) -> None:
        self.price_lists: Sequence[RemotePriceList] = found.price_lists
        self.markets: Sequence[RemoteMarket] = found.markets
        self._staging = staging
        self._findings = findings

    def prices(self) -> Iterator[Sequence[ListedPrice]]:
        """Blocks of prices."""
        return self._staging.prices()

    def quantity_breaks(self) -> Iterator[Sequence[QuantityBreak]]:
        """Blocks of quantity breaks."""
        return self._staging.breaks()

    def findings(self) -> Sequence[CatalogFinding]:
        """What was refused."""
        return self._findings.all()

    def close(self) -> None:
        """Remove the staged prices."""
        self._staging.close()


class PriceListReader:
    """Reads everything into a file of `work_dir`, so that nobody waits for the store while the prices are told."""

    def __init__(self, client: ShopifyClient, markets: StoreMarkets) -> None:
        self._client = client
        self._markets = markets
        self._export = Export(client)

    def read(self, work_dir: Path, progress: Progress) -> PriceListReading:
        """Read all lists. Raises `CallError`; then no file is left."""
        found = self._markets.read()
        staging = ListStaging(work_dir / "price-lists.db")
        findings = Findings(found.findings)
        try:
            self._stage_fixed(found.price_lists, staging, findings, progress)
            asked = [each for each in found.price_lists if each.external_id in found.contexts]
            for some in cut(asked, LISTS_AT_ONCE):
                self._stage_relative(some, found, staging, findings, work_dir, progress)
        except BaseException:
            staging.close()
            raise
        return StoredReading(found, staging, findings)

    def _stage_fixed(
        self, lists: Sequence[RemotePriceList], staging: ListStaging, findings: Findings, progress: Progress
    ) -> None:
        done, total = 0, sum(each.fixed_prices for each in lists)
        for each in lists:
            for page in self._fixed_pages(each):
                staging.add(fixed_prices(each, page, findings))
                if each.audience is Audience.COMPANY:
                    staging.add_breaks(quantity_breaks(each, page, findings))
                done += len(page)
                progress(FIXED_STAGE, done, max(done, total))

    def _fixed_pages(self, price_list: RemotePriceList) -> Iterator[list[dict[str, Any]]]:
        has_breaks = price_list.audience is Audience.COMPANY
        document, points = (FIXED_PRICES_WITH_BREAKS, BREAKS_POINTS) if has_breaks else (FIXED_PRICES, FIXED_POINTS)
        variables = {"id": to_gid(PRICE_LIST, price_list.external_id), "query": None}

        def find(data: dict[str, Any]) -> object:
            shown = require_list(price_list.external_id, data)
            if shown.get("currency") != price_list.currency:
                # Its amounts would be taken for those of the currency that was told before.
                raise CallError(UNAVAILABLE, "A price list changed while it was read.", retryable=True)
            return shown.get("prices")

        try:
            yield from read_pages(self._client, document, variables, find, points=points)
        except CallError as error:
            if error.code != PRICE_LIST_GONE:
                raise
            raise CallError(UNAVAILABLE, "A price list vanished while it was read.", retryable=True) from error

    def _stage_relative(
        self,
        lists: Sequence[RemotePriceList],
        found: StoreLists,
        staging: ListStaging,
        findings: Findings,
        work_dir: Path,
        progress: Progress,
    ) -> None:
        document = export_of([found.contexts[each.external_id] for each in lists])
        log = Unnoted(f"{document.name}_{new_uuid().hex}", datetime.now(UTC))

        def told(stage: str, done: int, total: int | None) -> None:
            progress(_STAGES.get(stage, stage), done, total)

        result, path = self._export.fetch(document, work_dir, told, log)
        try:
            lines = 0
            for block in _blocks(path):
                staging.add(relative_prices(lists, block, findings))
                lines += len(block)
        finally:
            path.unlink(missing_ok=True)
        if result.size is None and lines != result.objects:
            message = f"The file of price lists has {lines} objects instead of {result.objects}."
            raise CallError(PROTOCOL, message, retryable=True)


def fixed_prices(
    price_list: RemotePriceList, nodes: Iterable[Mapping[str, Any]], findings: Findings
) -> Iterator[ListedPrice]:
    """The fixed prices of a page. What cannot be read, or is in another currency than the list's, is a finding."""
    for external_id, shown, _ in map(read_listed, nodes):
        if isinstance(shown, Unreadable):
            findings.add(external_id, _field(price_list), shown.rule)
        elif shown.currency != price_list.currency:
            findings.add(external_id, _field(price_list), f"the price is in {shown.currency}")
        else:
            yield _listed(price_list, external_id, shown, relative=False)


def quantity_breaks(
    price_list: RemotePriceList, nodes: Iterable[Mapping[str, Any]], findings: Findings
) -> Iterator[QuantityBreak]:
    """The lower prices of a page."""
    for external_id, _, node in map(read_listed, nodes):
        breaks = as_object(node.get("quantityPriceBreaks"), "quantityPriceBreaks")
        for each in as_list(breaks.get("nodes"), "quantityPriceBreaks.nodes"):
            shown = as_object(each, "quantity break")
            quantity, money = as_count(shown.get("minimumQuantity"), "minimumQuantity"), read_money(shown.get("price"))
            if isinstance(money, Unreadable):
                findings.add(external_id, f"{_field(price_list)}.quantity_break", money.rule)
            elif money.currency != price_list.currency:
                findings.add(external_id, f"{_field(price_list)}.quantity_break", f"it is in {money.currency}")
            else:
                yield QuantityBreak(price_list.external_id, external_id, quantity, money.amount)


def relative_prices(
    lists: Sequence[RemotePriceList], lines: Iterable[Mapping[str, Any]], findings: Findings
) -> Iterator[ListedPrice]:
    """What buyers pay by the lines of an export; nothing where that is in another currency than the list's."""
    for line in lines:
        external_id = from_gid(VARIANT, line.get("id"))
        if external_id is None:
            raise CallError(PROTOCOL, "The file of price lists has a line that is for no variant.")
        for place, price_list in enumerate(lists):
            shown = read_shown(line.get(alias(place)))
            if isinstance(shown, Unreadable):
                findings.add(external_id, _field(price_list), shown.rule)
            elif shown.currency == price_list.currency:
                yield _listed(price_list, external_id, shown, relative=True)


def _listed(price_list: RemotePriceList, external_id: str, shown: ShownPrice, *, relative: bool) -> ListedPrice:
    return ListedPrice(price_list.external_id, external_id, shown.unit_amount, shown.compare_at, relative)


def _field(price_list: RemotePriceList) -> str:
    return f"price_list.{price_list.external_id}"


def _blocks(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The lines of a file, some at a time. Raises `CallError` for one that is no JSON object."""
    block: list[dict[str, Any]] = []
    with path.open("rb") as file:
        for line in file:
            try:
                block.append(as_object(orjson.loads(line), "export line"))
            except orjson.JSONDecodeError as error:
                message = "The file of price lists has a line that is not JSON."
                raise CallError(PROTOCOL, message, retryable=True) from error
            if len(block) == BLOCK:
                yield block
                block = []
    yield block
