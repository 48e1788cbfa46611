"""The items of a plan in PostgreSQL: decisions, events, price history and counts of a batch are one transaction."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from calibr.catalog import NewPrice, record_prices
from calibr.changes.apply.core import Decide
from calibr.changes.apply.decide import ClaimedItem, Decision, Permission
from calibr.changes.apply.item_events import events_of
from calibr.changes.apply.settings import backoff_s
from calibr.changes.apply.store_run import THROTTLED, StoreRun
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.repository import move_counts
from calibr.changes.repository_items import Settlement, mark_sending, reopen, settle
from calibr.core.ids import EventId
from calibr.db import Session
from calibr.events import emit

_PERMISSIONS = {ChangeState.APPLYING: Permission.SEND, ChangeState.ABORTING: Permission.STOP}
_BACK_TO_CLAIMED = {ItemState.SENDING, ItemState.RETRY_WAIT}

Moved = Counter[ItemState]
"""Net change of the number of items in each state."""


CALLED_BACK = "called_back"
"""The code of a row that stood in a file which we called back before the store came to it."""
NO_ATTEMPTS = frozenset({THROTTLED, CALLED_BACK})
OnMarked = Callable[[Session, Sequence[ClaimedItem]], None]
"""Called with what is marked as sent, in the same transaction."""


def _nothing_else(_session: Session) -> None:
    pass


@dataclass(frozen=True, slots=True)
class SqlItemStore:
    """See `core.ItemStore`. Items that go in a file carry its id `bulk_id`, and `on_marked` notes the file.

    `also` is done in the transaction of each settlement.
    """

    run: StoreRun
    bulk_id: UUID | None = None
    on_marked: OnMarked | None = None
    also: Callable[[Session], None] = _nothing_else

    def settle(self, decide: Decide) -> list[ClaimedItem]:
        """Decide under the lock of the change; write decisions, mark what is about to be sent."""
        run = self.run
        with run.session() as session:
            permission = _PERMISSIONS.get(run.lease.lock(session), Permission.HOLD)
            decisions = decide(permission)
            again = [d.item.key.product_id for d in decisions if d.item.may_be_written and d.target in _BACK_TO_CLAIMED]
            reopen(session, run.lot, again)
            moved = _write_down(run, session, [d for d in decisions if d.target is not ItemState.SENDING])
            ready = [d.item for d in decisions if d.target is ItemState.SENDING]
            wanted = [item.key.product_id for item in ready]
            marked = mark_sending(session, run.lot, wanted, self.bulk_id) if ready else set()
            sent = [item for item in ready if item.key.product_id in marked]
            if sent and self.on_marked is not None:
                self.on_marked(session, sent)
            _count(run, session, _moved((item.state, ItemState.SENDING) for item in sent))
            self.also(session)
        _tell(run, moved)
        return [replace(item, state=ItemState.SENDING, attempt=item.attempt + 1) for item in sent]


def _write_down(run: StoreRun, session: Session, decisions: Sequence[Decision]) -> Moved:
    """Write decisions with their events and price versions; what another worker owns by now is left out."""
    told = {decision.item.key.product_id: events_of(run.plan, decision) for decision in decisions}
    settled = settle(
        session,
        run.lot,
        [
            _settlement(run, d, events[-1].event_id if (events := told[d.item.key.product_id]) else None)
            for d in decisions
        ],
    )
    owned = [d for d in decisions if d.item.key.product_id in settled]
    emit(session, *(event for d in owned for event in told[d.item.key.product_id]))
    written = [_new_price(d) for d in owned if d.changed]
    record_prices(session, written, change_id=run.lot.change_id, source=run.source)
    return _count(run, session, _moved((d.item.state, d.target) for d in owned))


def _settlement(run: StoreRun, decision: Decision, event_id: EventId | None) -> Settlement:
    delay = None
    if decision.target in {ItemState.RETRY_WAIT, ItemState.UNKNOWN}:
        chance = random.random()  # noqa: S311 - jitter
        # Times 1.0: the driver refuses a list that mixes whole seconds of a store with fractions of ours.
        delay = max((decision.retry_after_s or 0) * 1.0, backoff_s(run.settings, decision.item.attempt + 1, chance))
    said = ": ".join(part for part in (decision.code, decision.message) if part)
    observed = decision.observed
    return Settlement(
        product_id=decision.item.key.product_id,
        target=decision.target,
        is_observed=observed is not None,
        observed_amount=observed.unit_amount if observed else None,
        observed_compare_at=observed.compare_at if observed else None,
        delay_s=delay,
        error=said or None,
        event_id=event_id,
        is_attempt=decision.code not in NO_ATTEMPTS,
    )


def _new_price(decision: Decision) -> NewPrice:
    """What the store asks since our write; of a price that follows the base again, what it then showed."""
    item, price = decision.item, decision.item.after
    if price.relative and decision.observed is not None and decision.observed.relative:
        price = decision.observed
    elif price.unit_amount is None and not price.relative:
        raise ValueError(f"item {item.key} has no price to record")
    return NewPrice(
        *(item.key.product_id, item.key.price_list_id, item.currency, price.unit_amount, price.compare_at),
        relative=price.relative,
    )


def _moved(pairs: Iterable[tuple[ItemState, ItemState]]) -> Moved:
    moved: Moved = Counter()
    for source, target in pairs:
        moved[source] -= 1
        moved[target] += 1
    return moved


def _count(run: StoreRun, session: Session, moved: Moved) -> Moved:
    if any(moved.values()):
        move_counts(session, run.lot.change_id, moved)
    return moved


def _tell(run: StoreRun, moved: Moved) -> None:
    for state, number in moved.items():
        if number > 0:
            run.on_settled(state, number)
