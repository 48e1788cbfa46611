"""What a batch of claimed items goes through: read, decide, mark as sent, write, read back, settle.

Pure steps over two ports: the items of the plan (`ItemStore`, each method one transaction) and the store (`Remote`).
Production runs them over SQL and a connector, the simulation over memory, with crashes after every effect. Whatever
happens in between leaves items that the next reading decides about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Protocol

from calibr.changes.apply.decide import ClaimedItem, Decision, Permission, after_reading, after_writing
from calibr.changes.apply.settings import ApplySettings
from calibr.changes.lifecycle import ItemState
from calibr.connectors.port import RemotePrice, WriteOutcome, WriteResult

Decide = Callable[[Permission], Sequence[Decision]]


class ItemStore(Protocol):
    """The items of one change on one price list, as the worker that owns the change may move them."""

    def settle(self, decide: Decide) -> list[ClaimedItem]:
        """Ask for decisions under the lock of the change and write them, with their events, in one transaction.

        Returns the items that are marked as sent from now on (target SENDING) and still ours. Raises LeaseLost, and
        writes nothing, when another worker owns the change.
        """
        ...


class Remote(Protocol):
    """The store. No call is in flight for longer than the lease allows."""

    def read(self, items: Sequence[ClaimedItem]) -> dict[str, RemotePrice] | None:
        """What the store asks now, by external id; None if it does not answer."""
        ...

    def write(self, items: Sequence[ClaimedItem]) -> dict[str, WriteResult]:
        """Send the new prices; a row without a result may or may not have been written."""
        ...


def run_batch(store: ItemStore, remote: Remote, settings: ApplySettings, items: Sequence[ClaimedItem]) -> None:
    """Take a batch as far as it goes. Raises LeaseLost, and leaves the items to whoever took over."""
    sent = make_ready(store, remote, settings, items)
    if sent:
        results = remote.write(sent)
        settle_sent(store, settings, sent, results, remote.read(sent) or {})


def make_ready(
    store: ItemStore, remote: Remote, settings: ApplySettings, items: Sequence[ClaimedItem]
) -> list[ClaimedItem]:
    """Read the store, settle what needs no writing, and mark the rest as sent: it is returned, and must be sent now."""
    seen = remote.read(items)
    if seen is None:
        store.settle(lambda _: [Decision(item, _postponed(item), code="store_unreadable") for item in items])
        return []
    attempts = settings.max_attempts
    return store.settle(
        lambda permission: [
            after_reading(item, seen.get(item.external_id or ""), permission, attempts) for item in items
        ]
    )


def settle_sent(
    store: ItemStore,
    settings: ApplySettings,
    sent: Sequence[ClaimedItem],
    results: Mapping[str, WriteResult],
    shown: Mapping[str, RemotePrice],
) -> None:
    """Settle what was sent by what the store answered, and by what it shows since then."""
    store.settle(lambda _: [_after_sending(settings, item, results, shown) for item in sent])


def _postponed(item: ClaimedItem) -> ItemState:
    """The store could not be read: nothing was sent, and what may have been written stays unknown."""
    return ItemState.UNKNOWN if item.may_be_written else ItemState.RETRY_WAIT


def _after_sending(
    settings: ApplySettings, item: ClaimedItem, results: Mapping[str, WriteResult], shown: Mapping[str, RemotePrice]
) -> Decision:
    """A row without an answer is left alone for as long as the store may still be at work on it."""
    result = results.get(item.external_id or "")
    decision = after_writing(item, result, shown.get(item.external_id or ""))
    if decision.target is ItemState.UNKNOWN and (result is None or result.outcome is WriteOutcome.UNKNOWN):
        return replace(decision, retry_after_s=ceil(settings.margin_s))
    return decision
