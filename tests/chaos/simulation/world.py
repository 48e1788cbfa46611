"""A plan, its database and its store in memory, with one clock: what an apply run acts on, made to be crashed into.

Times are seconds of the database's clock. A transaction is all or nothing; a write to the store may be lost before or
after it lands, or land late. Nothing here decides anything: that is the core's, which is the code under test.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from calibr.changes.apply.decide import ClaimedItem, Decision, Permission
from calibr.changes.apply.settings import ApplySettings
from calibr.changes.lease import LeaseLost
from calibr.changes.lifecycle import (
    IN_FLIGHT_ITEM_STATES,
    ITEM_MOVES,
    OPEN_ITEM_STATES,
    ChangeState,
    ItemState,
)
from calibr.changes.model import ItemKey, Price
from calibr.connectors.port import RemotePrice
from calibr.core.ids import PriceListId, ProductId

CURRENCY: Final = "USD"
LIST: Final = PriceListId(UUID(int=1))
CALL_S: Final = 1.0
STORE_DELAY_S: Final = 0.4
PERMISSIONS: Final = {ChangeState.APPLYING: Permission.SEND, ChangeState.ABORTING: Permission.STOP}
MAY_BE_WRITTEN: Final = frozenset({ItemState.CLAIMED, ItemState.SENDING, ItemState.UNKNOWN})

SETTINGS: Final = ApplySettings(
    batch_size=5,
    parallel_batches=1,
    lease_s=2.4,
    margin_s=STORE_DELAY_S + 0.1,
    max_attempts=50,
    backoff_base_s=0.05,
    backoff_cap_s=0.2,
)


@dataclass
class Row:
    """An item as its row in the database."""

    key: ItemKey
    before: Price
    after: Price
    state: ItemState = ItemState.PENDING
    fence: int = 0
    lease_until: float = 0.0
    next_at: float | None = None
    attempt: int = 0

    def move(self, target: ItemState) -> None:
        """Take a step; the database refuses one that the state machine does not know."""
        if target is not self.state:
            assert target in ITEM_MOVES[self.state], f"{self.key.product_id.int} from {self.state} to {target}"
            self.state = target

    def claimed(self) -> ClaimedItem:
        """The item as a run gets it."""
        name = str(self.key.product_id.int)
        return ClaimedItem(
            self.key, name, name, CURRENCY, self.before, self.after, (), state=self.state, attempt=self.attempt
        )


@dataclass(frozen=True)
class Write:
    """A write that landed in the store, with what stood there before."""

    product: str
    before: Price
    after: Price
    by_us: bool


@dataclass
class World:
    """Everything that survives a crash."""

    rows: dict[ProductId, Row]
    prices: dict[str, Price]
    now: float = 0.0
    state: ChangeState = ChangeState.APPLYING
    fence: int = 0
    lease_until: float = 0.0
    journal: list[Write] = field(default_factory=list)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: list[tuple[float, str, Price]] = field(default_factory=list)
    settings: ApplySettings = SETTINGS

    @classmethod
    def of(cls, items: int, settings: ApplySettings = SETTINGS) -> "World":
        """A plan of so many items: ten units down each."""
        rows, prices = {}, {}
        for number in range(1, items + 1):
            key = ItemKey(LIST, ProductId(UUID(int=number)))
            before = Price(1_000 + number, None)
            rows[key.product_id] = Row(key, before, Price(990 + number - 10, None))
            prices[str(number)] = before
        return cls(rows, prices, settings=settings)

    # -- the clock and the store

    def pass_time(self, seconds: float) -> None:
        """Let time pass; writes that were on their way land when it is their turn."""
        self.now += seconds
        for at, product, price in sorted(self.late):
            if at <= self.now:
                self.late.remove((at, product, price))
                self.land(product, price)

    def land(self, product: str, price: Price, *, by_us: bool = True) -> None:
        """A write takes effect."""
        self.journal.append(Write(product, self.prices[product], price, by_us))
        self.prices[product] = price

    def remote(self, product: str) -> RemotePrice:
        """What the store shows."""
        price = self.prices[product]
        return RemotePrice(product, CURRENCY, price.unit_amount, price.compare_at)

    # -- the database: each method is one transaction

    def take(self) -> int | None:
        """`claim_work`: the fence, or None while another worker has the change."""
        if self.state not in {ChangeState.APPLYING, ChangeState.ABORTING} or self.lease_until > self.now:
            return None
        self.fence += 1
        self.lease_until = self.now + self.settings.lease_s
        return self.fence

    def renew(self, fence: int) -> None:
        """The heartbeat: a lease is renewed four times in its life, so three quarters of it count."""
        if self.fence == fence and self.lease_until - self.now < self.settings.lease_s * 3 / 4:
            self.lease_until = self.now + self.settings.lease_s

    def lock(self, fence: int) -> ChangeState:
        """Begin a transaction of the worker with this fence."""
        if self.fence != fence:
            raise LeaseLost("price_change.lease_lost", "overtaken", retryable=True)
        return self.state

    def claim(self, fence: int, limit: int) -> list[ClaimedItem]:
        """What is due, else what is fresh."""
        going = self.lock(fence) is ChangeState.APPLYING
        states = IN_FLIGHT_ITEM_STATES if going else MAY_BE_WRITTEN
        rows = [r for r in self.rows.values() if r.state in states and self._is_due(r, fence)][:limit]
        if not rows and going:
            rows = [r for r in self.rows.values() if r.state is ItemState.PENDING][:limit]
        for row in rows:
            fresh = row.state in {ItemState.PENDING, ItemState.CLAIMED, ItemState.RETRY_WAIT}
            if row.state is not ItemState.CLAIMED:
                target = ItemState.CLAIMED if fresh else ItemState.UNKNOWN
                row.move(target)
            row.fence, row.next_at, row.lease_until = fence, None, self.now + self.settings.lease_s
        return [row.claimed() for row in rows]

    def _is_due(self, row: Row, fence: int) -> bool:
        if row.next_at is not None:
            return row.next_at <= self.now
        return row.fence < fence and row.lease_until < self.now

    def write_down(self, fence: int, decisions: "list[Decision]") -> list[ClaimedItem]:
        """Settle decisions with their events; mark what is about to be sent."""
        sent = []
        for decision in decisions:
            row = self.rows[decision.item.key.product_id]
            if row.fence != fence or row.state not in {ItemState.CLAIMED, ItemState.SENDING, ItemState.UNKNOWN}:
                continue
            if decision.target in {ItemState.SENDING, ItemState.RETRY_WAIT} and row.state is ItemState.UNKNOWN:
                row.move(ItemState.CLAIMED)
            row.move(decision.target)
            if decision.target is ItemState.SENDING:
                row.attempt += 1
                sent.append(replace(decision.item, state=ItemState.SENDING, attempt=row.attempt))
                continue
            if decision.target in {ItemState.RETRY_WAIT, ItemState.UNKNOWN}:
                row.next_at = self.now + max(decision.retry_after_s or 0, self.settings.backoff_base_s)
            product = decision.item.external_id or ""
            if decision.changed:
                self.events[product, "price.changed"] += 1
            elif decision.target is ItemState.DRIFTED and decision.item.may_be_written:
                self.events[product, "may have been written"] += 1
            if decision.target in {ItemState.DRIFTED, ItemState.REJECTED, ItemState.NOOP}:
                self.events[product, str(decision.target)] += 1
        return sent

    def finish(self) -> None:
        """End the change once no item is open; when aborting, what was never sent is given up."""
        if self.state is ChangeState.ABORTING:
            for row in self.rows.values():
                if row.state in {ItemState.PENDING, ItemState.RETRY_WAIT}:
                    row.move(ItemState.CANCELLED)
        if not any(row.state in OPEN_ITEM_STATES for row in self.rows.values()):
            self.state = ChangeState.ABORTED if self.state is ChangeState.ABORTING else ChangeState.APPLIED
            self.lease_until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the change has ended."""
        return self.state in {ChangeState.APPLIED, ChangeState.ABORTED}

    # -- what must never be

    def _is_audited(self, product: str, writes: int) -> bool:
        """Each write is told, and nothing else is. If somebody edited over it unseen, it is told as possible."""
        told = self.events[product, "price.changed"] > 0
        return told or self.events[product, "may have been written"] > 0 if writes else not told

    def violations(self) -> dict[str, list[str]]:
        """Broken promises, by name, with the products concerned. Empty lists are left out."""
        ours: dict[str, list[Write]] = {}
        for write in self.journal:
            if write.by_us:
                ours.setdefault(write.product, []).append(write)
        planned = {str(row.key.product_id.int): row for row in self.rows.values()}
        found = {
            "duplicate_writes": [p for p, writes in ours.items() if len(writes) > 1],
            "external_edits_overwritten": [
                p
                for p, writes in ours.items()
                if any(w.before not in (planned[p].before, planned[p].after) for w in writes)
            ],
            "unaudited": [p for p in planned if self.is_over and not self._is_audited(p, len(ours.get(p, [])))],
            "audited_twice": [p for (p, kind), n in self.events.items() if kind == "price.changed" and n > 1],
            "lost": [
                p
                for p, row in planned.items()
                if row.state is ItemState.APPLIED and not any(w.after == row.after for w in ours.get(p, []))
            ],
            "not_over": [p for p, row in planned.items() if self.is_over and row.state in OPEN_ITEM_STATES],
        }
        return {name: products for name, products in found.items() if products}
