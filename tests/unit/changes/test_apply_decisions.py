"""Every way in which reading and writing a store can turn out, against the promises of an apply run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.changes import lifecycle
from calibr.changes.apply.decide import ClaimedItem, Permission, after_reading, after_writing
from calibr.changes.apply.settings import ApplySettings, backoff_s, require_safe_lease
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import ItemKey, Price
from calibr.connectors.port import RemotePrice, WriteOutcome, WriteResult
from calibr.core.errors import Invalid
from calibr.core.ids import PriceListId, ProductId, new_uuid

BEFORE, AFTER = Price(1000, None), Price(900, 1000)
ITEM = ClaimedItem(
    key=ItemKey(PriceListId(new_uuid()), ProductId(new_uuid())),
    external_id="11",
    group_external_id="1",
    currency="USD",
    before=BEFORE,
    after=AFTER,
    trace=(1, None),
    state=ItemState.CLAIMED,
    attempt=0,
)
SENT = replace(ITEM, state=ItemState.UNKNOWN)


def remote(price: Price, currency: str = "USD") -> RemotePrice:
    return RemotePrice("11", currency, price.unit_amount, price.compare_at)


def result(outcome: WriteOutcome) -> WriteResult:
    return WriteResult("11", outcome, code="c", message="m", retry_after_s=3)


def test_an_item_at_its_old_price_may_be_sent() -> None:
    assert after_reading(ITEM, remote(BEFORE), Permission.SEND, 3).target is ItemState.SENDING


def test_a_price_that_was_there_before_we_sent_anything_is_not_ours() -> None:
    decision = after_reading(ITEM, remote(AFTER), Permission.SEND, 3)

    assert decision.target is ItemState.NOOP
    assert not decision.changed


def test_a_price_that_we_may_have_sent_is_found_applied() -> None:
    decision = after_reading(SENT, remote(AFTER), Permission.SEND, 3)

    assert decision.target is ItemState.APPLIED
    assert decision.changed


@pytest.mark.parametrize("other", [Price(901, 1000), Price(900, None), Price(1000, 1000), Price(None, None)])
def test_anything_else_is_drift_in_either_amount(other: Price) -> None:
    assert after_reading(ITEM, remote(other), Permission.SEND, 3).target is ItemState.DRIFTED


@pytest.mark.parametrize(
    ("permission", "target"), [(Permission.HOLD, ItemState.RETRY_WAIT), (Permission.STOP, ItemState.CANCELLED)]
)
def test_nothing_is_sent_while_paused_or_aborting(permission: Permission, target: ItemState) -> None:
    assert after_reading(ITEM, remote(BEFORE), permission, 3).target is target


def test_a_listing_that_is_gone_or_has_another_currency_is_rejected() -> None:
    gone = after_reading(ITEM, None, Permission.SEND, 3)
    currency = after_reading(ITEM, remote(BEFORE, "EUR"), Permission.SEND, 3)

    assert (gone.target, gone.code) == (ItemState.REJECTED, "listing_gone")
    assert (currency.target, currency.code) == (ItemState.REJECTED, "currency_changed")


def test_an_item_is_given_up_after_its_last_attempt() -> None:
    decision = after_reading(replace(SENT, attempt=3), remote(BEFORE), Permission.SEND, 3)

    assert (decision.target, decision.code) == (ItemState.REJECTED, "attempts_exhausted")


def test_written_counts_only_when_the_store_shows_it() -> None:
    sure = after_writing(ITEM, result(WriteOutcome.WRITTEN), remote(AFTER))
    unread = after_writing(ITEM, result(WriteOutcome.WRITTEN), None)
    stale = after_writing(ITEM, result(WriteOutcome.WRITTEN), remote(BEFORE))

    assert (sure.target, sure.changed) == (ItemState.APPLIED, True)
    assert (unread.target, unread.changed) == (ItemState.UNKNOWN, False)
    assert (stale.target, stale.changed) == (ItemState.UNKNOWN, False)


def test_a_write_that_somebody_overwrote_at_once_is_drift_and_still_has_its_event() -> None:
    decision = after_writing(ITEM, result(WriteOutcome.WRITTEN), remote(Price(5, None)))

    assert (decision.target, decision.changed) == (ItemState.DRIFTED, True)


@pytest.mark.parametrize("shown", [None, BEFORE, Price(5, None)])
def test_a_missing_answer_stays_unknown_unless_the_store_shows_the_new_price(shown: Price | None) -> None:
    read_back = None if shown is None else remote(shown)

    assert after_writing(ITEM, None, read_back).target is ItemState.UNKNOWN
    assert after_writing(ITEM, result(WriteOutcome.UNKNOWN), read_back).target is ItemState.UNKNOWN
    assert after_writing(ITEM, None, remote(AFTER)).target is ItemState.APPLIED


def test_retry_waits_at_least_as_long_as_the_store_asks() -> None:
    decision = after_writing(ITEM, result(WriteOutcome.RETRY), remote(BEFORE))

    assert (decision.target, decision.retry_after_s) == (ItemState.RETRY_WAIT, 3)


prices = st.sampled_from([BEFORE, AFTER, Price(1, None), Price(None, None)])
remotes = st.one_of(st.none(), prices.map(remote))
items = st.builds(
    lambda state, attempt: replace(ITEM, state=state, attempt=attempt),
    st.sampled_from([ItemState.CLAIMED, ItemState.UNKNOWN]),
    st.integers(0, 5),
)


@given(items, remotes, st.sampled_from(Permission))
def test_every_decision_after_reading_is_an_allowed_move(
    item: ClaimedItem, seen: RemotePrice | None, permission: Permission
) -> None:
    target = after_reading(item, seen, permission, 3).target

    assert {(item.state, target), (ItemState.CLAIMED, target)} & lifecycle.item_moves()
    assert (target is ItemState.APPLIED) <= (item.state is ItemState.UNKNOWN)
    assert (target is ItemState.SENDING) <= (permission is Permission.SEND)


@given(remotes, st.one_of(st.none(), st.sampled_from(WriteOutcome).map(result)))
def test_every_decision_after_writing_is_an_allowed_move(seen: RemotePrice | None, answer: WriteResult | None) -> None:
    decision = after_writing(ITEM, answer, seen)

    assert (ItemState.SENDING, decision.target) in lifecycle.item_moves()
    assert decision.target is not ItemState.APPLIED or decision.observed == AFTER


def test_a_lease_must_outlast_the_longest_request() -> None:
    settings = ApplySettings(lease_s=20, margin_s=5)

    require_safe_lease(settings, 9.9)
    with pytest.raises(Invalid, match=r"lease_s is 20.*10") as refused:
        require_safe_lease(settings, 10)
    assert refused.value.code == "apply.lease_too_short"


def test_backoff_grows_to_its_cap_and_is_jittered() -> None:
    settings = ApplySettings(backoff_base_s=1, backoff_cap_s=10)

    assert [backoff_s(settings, n, 0.5) for n in (1, 2, 3, 9)] == [0.5, 1, 2, 5]
    assert backoff_s(settings, 9, 0) == 0
