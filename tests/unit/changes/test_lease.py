"""The local half of a lease: it only ever ends the right to write early."""

import time
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest

from calibr.changes.lease import Claim, Lease, LeaseLost
from calibr.core.ids import PriceChangeId

if TYPE_CHECKING:
    from calibr.db import Context, Database


def lease_of(seconds: float, *, age_s: float = 0.0) -> Lease:
    """A lease that was asked for some time ago; it is never entered, so nothing renews it."""
    claim = Claim(PriceChangeId(UUID(int=1)), fence=1, lease_s=seconds, taken_at=time.monotonic() - age_s)
    return Lease(cast("Database", None), cast("Context", None), claim)


def test_a_request_that_could_outlast_the_lease_is_not_sent() -> None:
    lease = lease_of(10.0)

    lease.last_moment(5.0)
    with pytest.raises(LeaseLost):
        lease.last_moment(10.0)


def test_a_lease_that_ended_allows_nothing() -> None:
    with pytest.raises(LeaseLost):
        lease_of(2.0, age_s=2.5).require()


def test_the_end_is_counted_from_before_the_database_was_asked() -> None:
    with pytest.raises(LeaseLost):
        lease_of(2.0, age_s=1.5).last_moment(0.6)
