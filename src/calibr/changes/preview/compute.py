"""Fills a plan: one statement per price list and range of products, all of them over one snapshot of the catalog."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from calibr.catalog import PriceList, list_price_lists, plan_source, product_ids_split
from calibr.changes.lease import Lease
from calibr.changes.model import PriceChange
from calibr.changes.repository_plan import insert_items, lock_plan_for_writing
from calibr.changes.rules import ListRules, bind_all, rules_of
from calibr.changes.summary import NotApplied, Selection
from calibr.core.ids import ProductId
from calibr.db import Context, Database, Role, Session
from calibr.pricing import CompiledPlan, TraceLayout, compile_plan, layout_of

Range = tuple[ProductId | None, ProductId | None]


@dataclass(frozen=True, slots=True)
class Computed:
    """A plan whose items are written and not yet sealed."""

    computed_at: datetime
    items: int
    selection: Selection
    not_applied: tuple[NotApplied, ...]
    layout: TraceLayout


@dataclass(frozen=True, slots=True)
class _Share:
    """A range of the products of a price list, which one transaction takes."""

    rules: ListRules
    products: Range
    computed_at: datetime

    def compiled(self, session: Session) -> CompiledPlan:
        price_list_id = self.rules.price_list.id
        source = plan_source(session, price_list_id, computed_at=self.computed_at, product_range=self.products)
        return compile_plan(self.rules.rules, source)


class PlanWriter:
    """Computes the items of one change under a lease."""

    def __init__(self, database: Database, context: Context, change: PriceChange, lease: Lease) -> None:
        self._database = database
        self._context = context
        self._change = change
        self._lease = lease

    def write(self, parallel: int) -> Computed:
        """Write all items, on up to `parallel` connections. Raises `DocumentError` before anything is written."""
        with self._database.session(self._context, role=Role.WORKER, isolation="repeatable read") as session:
            bound = bind_all(rules_of(self._change), self._price_lists(session))
            snapshot = session.export_snapshot()
            with ThreadPoolExecutor(parallel, "preview") as pool:
                writing = [self._start(pool, session, rules, parallel, snapshot) for rules in bound]
                counted = [_selection(session, rules) for rules in bound]
                items = [sum(share.result() for share in shares) for shares in writing]
            known = [c or Selection(selected=n) for c, n in zip(counted, items, strict=True)]
            not_applied = tuple(n for rules in bound for n in rules.not_applied)
            layout = layout_of(bound[0].rules)
            return Computed(session.now, sum(items), sum(known, Selection()), not_applied, layout)

    def _start(
        self, pool: ThreadPoolExecutor, session: Session, rules: ListRules, parallel: int, snapshot: str
    ) -> list[Future[int]]:
        borders = [None, *product_ids_split(session, rules.price_list.id, parallel), None]
        return [pool.submit(self._write, _Share(rules, r, session.now), snapshot) for r in pairwise(borders)]

    def _price_lists(self, session: Session) -> list[PriceList]:
        wanted = set(self._change.price_list_ids)
        return [p for p in list_price_lists(session) if p.id in wanted]

    def _write(self, share: _Share, snapshot: str) -> int:
        with self._database.session(self._context, role=Role.WORKER, snapshot=snapshot) as session:
            lock_plan_for_writing(session, self._change.id)
            self._require_lease()
            return insert_items(session, self._change.id, share.compiled(session).items)

    def _require_lease(self) -> None:
        """Look in a transaction of its own: the writing one sees the past."""
        with self._database.session(self._context, role=Role.WORKER) as session:
            self._lease.lock(session)


def _selection(session: Session, rules: ListRules) -> Selection | None:
    """What the items do not tell; None where they tell all, which saves reading the catalog once more."""
    if not rules.rules.transform.leaves_the_rest and not rules.rules.selector.has_not:
        return None
    counts = _Share(rules, (None, None), session.now).compiled(session).counts
    row = session.execute(counts).mappings().one()
    return Selection(row["selected"], row["left"], row["selected_as_missing"])
