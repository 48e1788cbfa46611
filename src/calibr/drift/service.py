"""What people decide about drift: take the store's price as ours, or plan to write ours again. Nothing heals itself."""

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

from calibr.catalog import NewPrice, adopt_price, list_price_lists
from calibr.changes import service as changes
from calibr.changes.model import ItemKey, PriceChange, Reassertion
from calibr.core.errors import Conflict
from calibr.db import Session
from calibr.drift import telling
from calibr.drift.model import Drift, DriftState
from calibr.drift.reads import get_drift, unknown
from calibr.drift.repository import close_drift, lock_drifts, note_reassertion
from calibr.events import emit


def adopt(session: Session, drift_id: UUID) -> Drift:
    """Take the store's price as ours: from now on it is the expected one. Emits `drift.adopted`.

    A price list may have come to follow the base price: then nothing is expected there from now on.

    Raises NotFound; Conflict `drift.not_open`, `drift.no_price` where the store has no usable price, `drift.moved`
    where the price has changed since it was observed, and `drift.currency_changed`.
    """
    found = _open(session, [drift_id])[0]
    _require_same_currency(session, [found])
    is_relative = found.observed is None
    unit_amount, compare_at = found.observed or (None, None)
    price = NewPrice(
        found.product_id, found.price_list_id, found.currency, unit_amount, compare_at, relative=is_relative
    )
    if not adopt_price(session, price):
        if is_relative:
            raise Conflict("drift.no_price", f"The store has no usable price to adopt for drift {drift_id}.")
        text = f"The price of drift {drift_id} has changed since it was observed: look at it again."
        raise Conflict("drift.moved", text, retryable=True)
    ended = {"state": DriftState.ADOPTED, "closed_by": session.context.actor}
    close_drift(session, drift_id, ended, session.now)
    emit(session, telling.adopted(found))
    return get_drift(session, drift_id)


def reassert(session: Session, drift_ids: Sequence[UUID], name: str | None = None) -> PriceChange:
    """Make a price change that puts the expected prices back; it takes the normal way of review and apply.

    The drifts stay open until it is applied. Raises NotFound, Conflict `drift.not_open` and `drift.currency_changed`,
    and what `changes.service.create_reassertion` raises.
    """
    found = _open(session, drift_ids)
    _require_same_currency(session, found)
    wanted = [Reassertion(ItemKey(each.price_list_id, each.product_id), *each.expected) for each in found]
    called = name or f"Reassert {len(found)} prices, {session.now.astimezone(UTC):%Y-%m-%d %H:%M}"
    change = changes.create_reassertion(session, wanted, called)
    note_reassertion(session, [each.id for each in found], change.id)
    return change


def _require_same_currency(session: Session, found: Sequence[Drift]) -> None:
    """An amount means something else on a price list that has another currency by now."""
    currencies = {each.id: each.currency for each in list_price_lists(session)}
    for each in found:
        now = currencies.get(each.price_list_id)
        if now != each.currency:
            text = f"The drift {each.id} is in {each.currency}, but its price list is in {now} now."
            raise Conflict("drift.currency_changed", text)


def _open(session: Session, ids: Sequence[UUID]) -> list[Drift]:
    found = {each.id: each for each in lock_drifts(session, ids)}
    for drift_id in ids:
        if drift_id not in found:
            raise unknown(drift_id)
        state = found[drift_id].state
        if state is not DriftState.OPEN:
            raise Conflict("drift.not_open", f"The drift {drift_id} is {state}: nothing is left to decide about it.")
    return list(found.values())
