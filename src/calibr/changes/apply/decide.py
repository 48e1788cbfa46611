"""What becomes of an item, given what the store shows. Pure: the whole safety of an apply run can be read here.

A store has no compare-and-set for prices, so an item is read right before it is sent and again afterwards. Whatever is
not certain stays `unknown`, and only a later reading decides about it: nothing is ever sent again blindly.
"""

from dataclasses import dataclass
from enum import StrEnum

from calibr.changes.lifecycle import ItemState
from calibr.changes.model import ItemKey, Price
from calibr.connectors.port import PriceWrite, RemotePrice, WriteOutcome, WriteResult


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An item that this run owns: claimed and never sent, or `unknown`, which may have been written.

    `attempt` counts how often it was sent.
    """

    key: ItemKey
    external_id: str | None
    group_external_id: str | None
    currency: str
    before: Price
    after: Price
    trace: tuple[int | None, ...]
    state: ItemState
    attempt: int

    @property
    def may_be_written(self) -> bool:
        """Whether an earlier attempt was sent and never answered for certain."""
        return self.state is ItemState.UNKNOWN

    def write(self) -> PriceWrite:
        """The absolute values to send."""
        if self.external_id is None or (self.after.unit_amount is None and not self.after.relative):
            raise ValueError(f"item {self.key} has nothing to send or nowhere to send it")
        return PriceWrite(
            external_id=self.external_id,
            group_external_id=self.group_external_id or self.external_id,
            currency=self.currency,
            unit_amount=self.after.unit_amount,
            compare_at=self.after.compare_at,
            write_compare_at=self.after.compare_at != self.before.compare_at,
        )


class Permission(StrEnum):
    """What the change allows now."""

    SEND = "send"
    HOLD = "hold"
    """Paused: settle what is certain, send nothing."""
    STOP = "stop"
    """Aborting: settle what is certain, give up the rest."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state of an item and what is known with it. `changed`: our write stood in the store."""

    item: ClaimedItem
    target: ItemState
    observed: Price | None = None
    changed: bool = False
    code: str | None = None
    message: str | None = None
    retry_after_s: int | None = None


def after_reading(item: ClaimedItem, remote: RemotePrice | None, permission: Permission, attempts: int) -> Decision:
    """Decide by the store's current price. The target SENDING means: it is safe to send now.

    `attempts` is how often an item may be sent. A listing that is gone, or that now has another currency, is rejected.
    """
    if item.external_id is None or remote is None:
        return _rejected(item, "listing_gone", "the store no longer has the listing")
    if remote.currency != item.currency:
        return _rejected(item, "currency_changed", f"the store now has {remote.currency}, the plan {item.currency}")
    observed = price_of(remote)
    if item.after.is_shown_by(observed):
        target = ItemState.APPLIED if item.may_be_written else ItemState.NOOP
        return Decision(item, target, observed, changed=item.may_be_written)
    if not item.before.is_shown_by(observed):
        return Decision(item, ItemState.DRIFTED, observed, message=remote.fault)
    return _not_yet_written(item, observed, permission, attempts)


def _not_yet_written(item: ClaimedItem, observed: Price, permission: Permission, attempts: int) -> Decision:
    if permission is Permission.STOP:
        return Decision(item, ItemState.CANCELLED, observed)
    if permission is Permission.HOLD:
        return Decision(item, ItemState.RETRY_WAIT, observed)
    if item.attempt >= attempts:
        return _rejected(item, "attempts_exhausted", f"not written in {attempts} attempts", observed)
    return Decision(item, ItemState.SENDING, observed)


def after_writing(
    item: ClaimedItem, result: WriteResult | None, read_back: RemotePrice | None, *, is_late: bool = False
) -> Decision:
    """Decide by the store's answer to the write and by what it shows right after it (None: it could not be read).

    A missing answer, and an answer that the store does not confirm, leave the item `unknown`. But an old price that is
    read late after the store said that it wrote (`is_late`) was put back by somebody: that is drift like any other.
    """
    observed = None if read_back is None else price_of(read_back)
    outcome = WriteOutcome.UNKNOWN if result is None else result.outcome
    code, message = (None, None) if result is None else (result.code, result.message)
    is_written = observed is not None and item.after.is_shown_by(observed)
    if outcome is WriteOutcome.REJECTED and not is_written:
        return _rejected(item, code or "rejected", message or "the store refused the price", observed)
    if outcome is WriteOutcome.RETRY:
        wait = None if result is None else result.retry_after_s
        return Decision(item, ItemState.RETRY_WAIT, observed, code=code, message=message, retry_after_s=wait)
    if is_written:
        return Decision(item, ItemState.APPLIED, observed, changed=True)
    is_put_back = is_late and outcome is WriteOutcome.WRITTEN
    if outcome is WriteOutcome.UNKNOWN or observed is None or (item.before.is_shown_by(observed) and not is_put_back):
        return Decision(item, ItemState.UNKNOWN, observed, code=code, message=message)
    return Decision(item, ItemState.DRIFTED, observed, changed=True)


def _rejected(item: ClaimedItem, code: str, message: str, observed: Price | None = None) -> Decision:
    return Decision(item, ItemState.REJECTED, observed, code=code, message=message)


def price_of(remote: RemotePrice) -> Price:
    """What a store shows, as a value."""
    return Price(remote.unit_amount, remote.compare_at, remote.relative)
