"""A store in memory with a price list beside its base prices, and the catalog that knows both."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import text
from stores import FakeConnector, FakeStore, Shop

from calibr.changes.model import Price
from calibr.connectors.port import BulkWriter, Estimate, PriceWrite, Progress, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.port.price_lists import PriceListReading
from calibr.core.ids import ConnectionId, PriceListId, ProductId, new_uuid
from calibr.db import Database

LIST: Final = "list-eu"
CURRENCY: Final = "EUR"


@dataclass
class ListedStore(FakeStore):
    """A list in euros that follows the base price one to one, but for what is fixed there."""

    fixed: dict[str, Price] = field(default_factory=dict)
    list_journal: list[tuple[str, Price | None]] = field(default_factory=list)
    on_list_write: Callable[[PriceWrite], WriteOutcome | None] = lambda _write: None
    order: list[str] = field(default_factory=list)

    def put(self, write: PriceWrite) -> None:
        super().put(write)
        self.order.append("base")

    def shown(self, external_id: str) -> Price:
        with self.lock:
            base = self.prices[external_id]
            return self.fixed.get(external_id) or Price(base.unit_amount, base.compare_at, relative=True)

    def put_fixed(self, write: PriceWrite) -> None:
        with self.lock:
            new = None if write.unit_amount is None else Price(write.unit_amount, write.compare_at)
            if new is None:
                self.fixed.pop(write.external_id, None)
            else:
                self.fixed[write.external_id] = new
            self.list_journal.append((write.external_id, new))
            self.order.append("list")


class ListBook:
    """The port over the list of a `ListedStore`."""

    request_timeout_s = 0.2
    bulk: BulkWriter | None = None

    def __init__(self, store: ListedStore) -> None:
        self.store = store

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        assert currency == CURRENCY
        self.store.on_read(external_ids)
        shown = {i: self.store.shown(i) for i in external_ids if i in self.store.prices}
        return {i: RemotePrice(i, CURRENCY, p.unit_amount, p.compare_at, relative=p.relative) for i, p in shown.items()}

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:  # noqa: ARG002 - of the port
        results = []
        for write in writes:
            outcome = self.store.on_list_write(write)
            if outcome is None:
                self.store.put_fixed(write)
            results.append(WriteResult(write.external_id, outcome or WriteOutcome.WRITTEN, code="fake"))
        return results

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        return Estimate(calls=1, points=12, seconds=sum(rows_per_group))


class ListedConnector(FakeConnector):
    """The connector of such a store."""

    def __init__(self, store: ListedStore) -> None:
        super().__init__(store)
        self.listed = store

    def read_price_lists(self, work_dir: Path, progress: Progress) -> PriceListReading:
        raise NotImplementedError

    def price_book(self, external_id: str) -> ListBook:
        assert external_id == LIST
        return ListBook(self.listed)

    def read_market_prices(
        self, external_ids: Sequence[str], countries: Sequence[str]
    ) -> Mapping[str, Mapping[str, RemotePrice]]:
        raise NotImplementedError


@dataclass(frozen=True)
class ListedShop(Shop):
    """A shop with a price list for the market Europe."""

    listed: ListedStore
    list_id: PriceListId

    def connector_for(self, connection_id: ConnectionId) -> ListedConnector:
        assert connection_id == self.connection_id
        return ListedConnector(self.listed)


def with_list(database: Database, shop: Shop, fixed: Mapping[str, Price]) -> ListedShop:
    """The same shop with a list on which some prices are fixed. All prices of the list are known to the catalog."""
    store = ListedStore(dict(shop.store.prices), shop.store.currency, fixed=dict(fixed))
    list_id = PriceListId(new_uuid())
    names = {"tenant": shop.context.tenant_id, "connection": shop.connection_id, "list": list_id, "external": LIST}
    with database.session(shop.context) as session:
        for statement in _LIST:
            session.execute(text(statement), names)
        for external_id in store.prices:
            _know(session.execute, shop.product(external_id), list_id, store.shown(external_id), shop)
    kept = {name: getattr(shop, name) for name in ("context", "connection_id", "price_list_id", "product_ids")}
    return ListedShop(**kept, store=store, listed=store, list_id=list_id)


def prices_in_force(database: Database, shop: ListedShop) -> Iterator[tuple[str, Price, str]]:
    """What the catalog knows of the list: external id, price, and where it comes from."""
    wanted = text("""
        select l.external_id, v.unit_amount, v.compare_at, v.relative, v.source
        from calibr.price_version v join calibr.listing l on l.product_id = v.product_id
        where v.price_list_id = :list and v.ends_at = 'infinity' order by l.external_id""")
    with database.session(shop.context) as session:
        rows = session.execute(wanted, {"list": shop.list_id}).all()
    for row in rows:
        yield row.external_id, Price(row.unit_amount, row.compare_at, row.relative), row.source


def _know(execute: Callable[..., object], product: ProductId, list_id: PriceListId, price: Price, shop: Shop) -> None:
    names = {"tenant": shop.context.tenant_id, "product": product, "list": list_id}
    amounts = {"amount": price.unit_amount, "compare_at": price.compare_at, "relative": price.relative}
    execute(text(_PRICE), {**names, **amounts})


_LIST = (
    """insert into calibr.price_list(tenant_id, id, connection_id, external_id, name, name_norm, currency, is_base,
                                     audience)
       values (:tenant, :list, :connection, :external, 'Europe prices', 'europe prices', 'EUR', false, 'market')""",
    """insert into calibr.market(tenant_id, connection_id, external_id, name, active, currency, countries,
                                 price_list_ids)
       values (:tenant, :connection, 'm1', 'Europe', true, 'EUR', array['DE', 'FR'], array[cast(:list as uuid)])""",
)
_PRICE = """
    insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, relative,
                                     source)
    values (:tenant, :product, :list, 'EUR', :amount, :compare_at, :relative, 'ingest')"""
