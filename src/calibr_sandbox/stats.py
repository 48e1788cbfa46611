"""What the server counted since it started."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Stats:
    """Counters of one server process; the journal in the store outlives it."""

    calls: int = 0
    unauthorized: int = 0
    throttled: int = 0
    over_cost: int = 0
    mutations: int = 0
    points_spent: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)
