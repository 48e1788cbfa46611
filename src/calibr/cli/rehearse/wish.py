"""What a rehearsal is asked for, and the times that its workers keep."""

from dataclasses import dataclass
from typing import Final

from calibr.cli.rehearse.copied import Copied
from calibr.connectors.port import WritePath


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens: so many items, kills, stopped workers; the store's faults are `default`, `none` or a file."""

    items: int
    kills: int
    zombies: int
    faults: str
    workers: int
    seed: int
    rollback: bool
    copied: Copied | None = None
    path: WritePath = WritePath.CALLS
    market: bool = False
    """Whether the change is also on a price list for a market, most of whose prices follow the base prices."""

    @property
    def price_lists(self) -> int:
        """On how many price lists each product is changed."""
        return 2 if self.market else 1

    @property
    def edits(self) -> int:
        """How many prices somebody else changes."""
        return max(5, self.items // 1000)

    @property
    def batch(self) -> int:
        """Items that a worker claims at a time: small enough that a small plan is not in flight as a whole."""
        return max(5, min(250, self.items // 40))


LEASE_S: Final = 2.4
TIMES: Final = {
    "CALIBR_WORKER_LEASE_S": str(LEASE_S),
    "CALIBR_STORE_CALL_S": "1.2",
    "CALIBR_STORE_DELAY_S": "0.4",
    "CALIBR_LEASE_MARGIN_S": "0.1",
    "CALIBR_DELIVERY_LEASE_S": "2.4",
    "CALIBR_DELIVERY_CALL_S": "1.0",
    "CALIBR_POLL_S": "0.1",
}
"""Short leases, so that a rehearsal meets in minutes what takes a year in production. The server's own rule holds."""
