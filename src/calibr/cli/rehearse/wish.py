"""What a rehearsal is asked for, and the times that its workers keep."""

from dataclasses import dataclass
from typing import Final


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

    @property
    def edits(self) -> int:
        """How many prices somebody else changes."""
        return max(5, self.items // 1000)


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
