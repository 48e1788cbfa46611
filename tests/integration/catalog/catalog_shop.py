"""A store that is a list of items, a tenant that is connected to it, and one call that syncs it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from calibr.catalog import (
    Connection,
    PriceList,
    SyncRun,
    SyncSummary,
    get_sync,
    list_price_lists,
    request_sync,
    run_sync,
)
from calibr.connectors.port import (
    BasePriceList,
    BulkWriter,
    Capability,
    CatalogFinding,
    CatalogStream,
    Estimate,
    Health,
    PriceWrite,
    Progress,
    RemotePrice,
    WriteResult,
)
from calibr.connectors.port.staging import RawCatalog, open_workspace, stage
from calibr.core.ids import SyncId
from calibr.db import Context, Database, Role


@dataclass(frozen=True, slots=True)
class Item:
    """One variant with the texts of its product, as a store would say it: amounts are texts in major units."""

    id: str
    group: str = "1"
    sku: str | None = "SKU"
    title: str | None = "Shirt"
    vendor: str | None = "Acme"
    tags: tuple[str, ...] = ("Sale",)
    color: str = "Red"
    price: str | None = "10.00"
    compare_at: str | None = None
    cost: str | None = "4.00"
    cost_currency: str = "USD"


@dataclass(slots=True)
class Store:
    """A connector over a list of items. `break_after` lets the stream fail after that many chunks."""

    items: list[Item] = field(default_factory=list)
    currency: str = "USD"
    error: Exception | None = None
    break_after: int | None = None
    on_read: Callable[[], None] = lambda: None

    kind = "fake"
    capabilities = frozenset(Capability)
    request_timeout_s = 1.0
    bulk: BulkWriter | None = None

    def change(self, item_id: str, **fields: Any) -> None:  # noqa: ANN401 - fields of an Item
        self.items = [replace(item, **fields) if item.id == item_id else item for item in self.items]

    def remove(self, *item_ids: str) -> None:
        self.items = [item for item in self.items if item.id not in item_ids]

    def read_catalog(self, work_dir: Path, progress: Progress) -> CatalogStream:
        if self.error is not None:
            raise self.error
        progress("exporting", 0, None)
        workspace = open_workspace(work_dir)
        workspace.execute(*_item_table(self.items))
        stream = stage(workspace, RAW, BasePriceList("Base prices", self.currency), work_dir=work_dir)
        self.on_read()
        return stream if self.break_after is None else _BreakingStream(stream, self.break_after)

    def check(self) -> Health:
        return Health(ok=True, latency_ms=1, store_name="Fake", currency=self.currency, api_version=None)

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        raise AssertionError(f"a sync read prices of {external_ids} in {currency}")

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:  # noqa: ARG002 - of the port
        raise AssertionError(f"a sync wrote {list(writes)}")

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        raise AssertionError(f"a sync asked for an estimate of {rows_per_group}")

    def close(self) -> None:
        pass


class _BreakingStream:
    def __init__(self, stream: CatalogStream, chunks: int) -> None:
        self.base_price_list = stream.base_price_list
        self.rows_total = stream.rows_total
        self._stream = stream
        self._chunks = chunks

    def chunks(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self._stream.chunks()):
            yield chunk
            if number + 1 >= self._chunks:
                raise ConnectionResetError("the power went out")

    def findings(self) -> Sequence[CatalogFinding]:
        return self._stream.findings()

    def close(self) -> None:
        self._stream.close()


RAW = RawCatalog(
    groups="""select "group" as group_external_id, min(n) as ordinal, any_value(title order by n) as title,
        any_value(vendor order by n) as vendor, 'Shirts' as product_type, 'ACTIVE' as status, any_value(tags) as tags
      from item group by item."group" """,
    listings="""select id as external_id, "group" as group_external_id, n as ordinal, sku,
        [{'name': 'option.Color', 'text_value': color, 'number_value': null::varchar}] as attributes,
        price as unit_amount, compare_at, cost as unit_cost, cost_currency from item""",
)


def _item_table(items: list[Item]) -> tuple[str, list[Any]]:
    texts = ("id", "group", "sku", "title", "vendor", "color", "price", "compare_at", "cost", "cost_currency")
    columns = [[getattr(item, name) for item in items] for name in texts]
    tags = [json.dumps(item.tags) for item in items]
    named = ", ".join(f'unnest(${n + 3}::varchar[]) as "{name}"' for n, name in enumerate(texts))
    query = f"create table item as select unnest(range($1)) as n, unnest($2::json[])::varchar[] as tags, {named}"
    return query, [len(items), tags, *columns]


@dataclass(slots=True)
class Shop:
    """A tenant with a connection to a store."""

    database: Database
    tenant: Context
    connection: Connection
    store: Store
    work_dir: Path

    def request(self, *, force: bool = False) -> SyncId:
        with self.database.session(self.tenant) as session:
            return request_sync(session, self.connection.id, force=force).id

    def sync(self, *, force: bool = False) -> SyncSummary:
        summary = self.run(self.request(force=force))
        assert summary is not None
        return summary

    def run(self, sync_id: SyncId) -> SyncSummary | None:
        return run_sync(self.database, self.tenant, sync_id, self.store, self.work_dir)

    def run_of(self, sync_id: SyncId) -> SyncRun:
        with self.database.session(self.tenant) as session:
            return get_sync(session, sync_id)

    def price_list(self) -> PriceList:
        with self.database.session(self.tenant) as session:
            return next(p for p in list_price_lists(session) if p.connection_id == self.connection.id)

    def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        with self.database.session(self.tenant, role=Role.WORKER) as session:
            return [dict(row) for row in session.execute(text(query), parameters).mappings()]

    def events(self, *types: str) -> list[dict[str, Any]]:
        query = """select type, convert_from(body, 'UTF8')::jsonb -> 'payload' as payload from calibr.event
            where type = any(:types) order by seq"""
        return [row["payload"] for row in self.rows(query, types=list(types))]
