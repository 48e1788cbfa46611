"""A store in memory that honors the connector port, and a catalog that knows it."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from calibr.changes.model import Price
from calibr.connectors.port import (
    BulkWriter,
    Capability,
    CatalogStream,
    Estimate,
    Health,
    PriceWrite,
    Progress,
    RemotePrice,
    WriteOutcome,
    WriteResult,
)
from calibr.core.ids import ConnectionId, PriceListId, ProductId, new_uuid
from calibr.db import Context, Database, Session


@dataclass
class FakeStore:
    """Prices by external id, and a journal of every write that changed the store."""

    prices: dict[str, Price] = field(default_factory=dict)
    currency: str = "USD"
    code: str = "fake"
    journal: list[tuple[str, Price]] = field(default_factory=list)
    reads: int = 0
    on_read: Callable[[Sequence[str]], None] = lambda _ids: None
    on_write: Callable[[PriceWrite], WriteOutcome | None] = lambda _write: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, write: PriceWrite) -> None:
        with self.lock:
            old = self.prices[write.external_id]
            new = Price(write.unit_amount, write.compare_at if write.write_compare_at else old.compare_at)
            self.prices[write.external_id] = new
            self.journal.append((write.external_id, new))


class FakeConnector:
    """The port over a `FakeStore`."""

    kind = "fake"
    request_timeout_s = 0.2
    bulk: BulkWriter | None = None

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.capabilities = frozenset(Capability)
        self.closed = False

    def check(self) -> Health:
        return Health(ok=True, latency_ms=0, store_name="fake", currency=self.store.currency, api_version=None)

    def read_catalog(self, work_dir: Path, progress: Progress) -> CatalogStream:
        raise NotImplementedError

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        store = self.store
        store.on_read(external_ids)
        with store.lock:
            store.reads += 1
            found = {i: store.prices[i] for i in external_ids if i in store.prices}
        assert currency
        return {i: RemotePrice(i, store.currency, p.unit_amount, p.compare_at) for i, p in found.items()}

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:  # noqa: ARG002 - of the port
        results = []
        for write in writes:
            outcome = self.store.on_write(write)
            if outcome is None:
                self.store.put(write)
            results.append(
                WriteResult(write.external_id, outcome or WriteOutcome.WRITTEN, code=self.store.code, message="said so")
            )
        return results

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        return Estimate(calls=len(rows_per_group), points=10 * len(rows_per_group), seconds=sum(rows_per_group))

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Shop:
    """A tenant's connected store with `products` listings; the n-th has the external id `e<n>`."""

    context: Context
    connection_id: ConnectionId
    price_list_id: PriceListId
    product_ids: tuple[ProductId, ...]
    store: FakeStore

    def connector_for(self, connection_id: ConnectionId) -> FakeConnector:
        assert connection_id == self.connection_id
        return FakeConnector(self.store)

    def product(self, external_id: str) -> ProductId:
        return self.product_ids[int(external_id[1:])]


def make_shop(
    database: Database, context: Context, *, products: int, currency: str = "USD", with_cost: bool = True
) -> Shop:
    """Fill the catalog of a tenant: product n costs 5 + n and asks 1000 + n; every second one is on sale."""
    connection_id, price_list_id = ConnectionId(new_uuid()), PriceListId(new_uuid())
    ids = tuple(ProductId(new_uuid()) for _ in range(products))
    ids = tuple(sorted(ids))
    with database.session(context) as session:
        _fill(session, connection_id, price_list_id, currency)
        rows = {"ids": list(ids), "list": price_list_id, "connection": connection_id, "currency": currency}
        for statement in _PRODUCTS if with_cost else _PRODUCTS[:-1]:
            session.execute(text(statement), {**rows, "tenant": session.tenant_id})
    store = FakeStore({f"e{n}": Price(1000 + n, None) for n in range(products)}, currency)
    return Shop(context, connection_id, price_list_id, ids, store)


_NUMBERED = (
    "from unnest(cast(:ids as uuid[])) with ordinality u(id, place) cross join lateral (select place - 1 as n) x"
)
_PRODUCTS = (
    f"""insert into calibr.product(tenant_id, id, sku, title, sku_norm, title_norm, tags, tags_norm)
        select :tenant, id, 'SKU-' || n, 'Product ' || n, 'sku-' || n, 'product ' || n, tags, tags
        {_NUMBERED} cross join lateral (
          select case when n % 2 = 0 then array['sale'] else '{{}}'::text[] end as tags) t""",
    f"""insert into calibr.listing(tenant_id, connection_id, external_id, product_id, group_external_id)
        select :tenant, :connection, 'e' || n, id, 'g' || n / 3 {_NUMBERED}""",
    f"""insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, source)
        select :tenant, id, :list, :currency, 1000 + n, 'ingest' {_NUMBERED}""",
    f"""insert into calibr.product_cost(tenant_id, product_id, currency, unit_cost)
        select :tenant, id, :currency, 5 + n {_NUMBERED}""",
)


def _fill(session: Session, connection_id: ConnectionId, price_list_id: PriceListId, currency: str) -> None:
    names = {
        "tenant": session.tenant_id,
        "connection": connection_id,
        "list": price_list_id,
        "currency": currency,
        "name": f"Shop {connection_id}",
    }
    for statement in _STORE:
        session.execute(text(statement), names)


_STORE = (
    """insert into calibr.connection(tenant_id, id, kind, name, name_norm)
       values (:tenant, :connection, 'fake', :name, lower(:name))""",
    """insert into calibr.price_list(tenant_id, id, connection_id, name, name_norm, currency, is_base)
       values (:tenant, :list, :connection, 'Base', 'base', :currency, true)""",
)
