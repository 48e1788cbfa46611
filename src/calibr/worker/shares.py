"""Fair shares of a worker's time between tenants: who has used least goes first. Pure but for the clock it is given.

Each tenant has an account of slot-seconds. The next free slot goes to the tenant with the smallest account, so that ten
times the work brings nobody more than their share while others wait. A tenant that comes back after a rest begins at
the smallest account of the busy ones: rest is not saved up.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

FORGET_AFTER_S: Final = 30.0
"""A short rest between two jobs of a tenant must not cost it what it is owed."""


class Shares:
    """Accounts of slot-seconds, by tenant."""

    def __init__(self) -> None:
        self._used: dict[UUID, float] = {}
        self._seen: dict[UUID, float] = {}

    def charge(self, tenant: UUID, seconds: float) -> None:
        """Add the time that a job of a tenant held a slot."""
        self._used[tenant] = self._used.get(tenant, 0.0) + seconds

    def used(self, tenant: UUID) -> float:
        """The account of a tenant."""
        return self._used.get(tenant, 0.0)

    def keep(self, busy: Iterable[UUID], now: float) -> None:
        """Note who has something to do, forget who has not for a while, and open accounts for those who just came."""
        self._seen.update(dict.fromkeys(busy, now))
        self._seen = {tenant: at for tenant, at in self._seen.items() if now - at < FORGET_AFTER_S}
        floor = min((self._used[tenant] for tenant in self._seen if tenant in self._used), default=0.0)
        self._used = {tenant: self._used.get(tenant, floor) for tenant in self._seen}
