"""Fills a plan: one statement per price list and range of products, all of them over one snapshot of the catalog."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from calibr.catalog import PriceList, list_price_lists, plan_source, product_id_after
from calibr.changes.lease import Lease
from calibr.changes.model import PriceChange
from calibr.changes.reads_summary import Part, item_groups, top_movers
from calibr.changes.repository_plan import expect_many_rows, insert_items, lock_plan_for_writing
from calibr.changes.rules import ListRules, bind_all, rules_of
from calibr.changes.summary import ItemGroup, Mover, NotApplied, Selection, highest, lowest
from calibr.db import Context, Database, Role, Session
from calibr.pricing import CompiledPlan, Direction, compile_plan, layout_of

SHARE_ROWS = 100_000
"""Products that one transaction takes: enough to make it cheap, few enough to keep all connections busy to the end."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A plan whose items are written and counted, and not yet sealed."""

    computed_at: datetime
    items: int
    selection: Selection
    groups: list[ItemGroup]
    not_applied: tuple[NotApplied, ...]
    highest: list[Mover]
    lowest: list[Mover]


@dataclass(frozen=True, slots=True)
class _Share:
    """A range of the products of a price list, which one transaction takes."""

    rules: ListRules
    part: Part
    computed_at: datetime

    def compiled(self, session: Session) -> CompiledPlan:
        part = self.part
        products = (part.above, part.up_to)
        source = plan_source(session, part.price_list_id, computed_at=self.computed_at, product_range=products)
        return compile_plan(self.rules.rules, source)


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction wrote."""

    items: int
    groups: list[ItemGroup]
    highest: list[Mover]
    lowest: list[Mover]


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
            expect_many_rows(session)
            bound = bind_all(rules_of(self._change), self._price_lists(session))
            snapshot = session.export_snapshot()
            with ThreadPoolExecutor(parallel, "preview") as pool:
                writing = [
                    [pool.submit(self._write, share, snapshot) for share in _shares(session, rules)] for rules in bound
                ]
                counted = [_selection(session, rules) for rules in bound]
                lists = [[share.result() for share in shares] for shares in writing]
            items = [sum(share.items for share in shares) for shares in lists]
            known = [c or Selection(selected=n) for c, n in zip(counted, items, strict=True)]
            written = list(chain.from_iterable(lists))
            return Computed(
                session.now,
                sum(items),
                sum(known, Selection()),
                list(chain.from_iterable(w.groups for w in written)),
                tuple(n for rules in bound for n in rules.not_applied),
                highest(chain.from_iterable(w.highest for w in written)),
                lowest(chain.from_iterable(w.lowest for w in written)),
            )

    def _price_lists(self, session: Session) -> list[PriceList]:
        wanted = set(self._change.price_list_ids)
        return [p for p in list_price_lists(session) if p.id in wanted]

    def _write(self, share: _Share, snapshot: str) -> _Written:
        """Write and count a share; the counts read what this transaction just wrote."""
        change_id, part = self._change.id, share.part
        with self._database.session(self._context, role=Role.WORKER, snapshot=snapshot) as session:
            expect_many_rows(session)
            lock_plan_for_writing(session, change_id)
            self._require_lease()
            price_list = share.rules.price_list
            fixed_on = None if price_list.is_base else price_list.id
            items = insert_items(session, change_id, share.compiled(session).items, fixed_on=fixed_on)
            groups = item_groups(session, change_id, layout_of(share.rules.rules), part)
            directions = {group.direction for group in groups}
            return _Written(
                items,
                groups,
                top_movers(session, change_id, part, up=True) if Direction.UP in directions else [],
                top_movers(session, change_id, part, up=False) if Direction.DOWN in directions else [],
            )

    def _require_lease(self) -> None:
        """Look in a transaction of its own: the writing one sees the past."""
        with self._database.session(self._context, role=Role.WORKER) as session:
            self._lease.lock(session)


def _shares(session: Session, rules: ListRules) -> Iterator[_Share]:
    """Ranges of products of about equal size, found while the first of them are being written already."""
    price_list_id, above = rules.price_list.id, None
    while (up_to := product_id_after(session, price_list_id, above, SHARE_ROWS)) is not None:
        yield _Share(rules, Part(price_list_id, above, up_to), session.now)
        above = up_to
    yield _Share(rules, Part(price_list_id, above), session.now)


def _selection(session: Session, rules: ListRules) -> Selection | None:
    """What the items do not tell; None where they tell all, which saves reading the catalog once more."""
    if not rules.rules.transform.leaves_the_rest and not rules.rules.selector.has_not:
        return None
    counts = _Share(rules, Part(rules.price_list.id), session.now).compiled(session).counts
    row = session.execute(counts).mappings().one()
    return Selection(row["selected"], row["left"], row["selected_as_missing"])
