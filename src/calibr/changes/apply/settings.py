"""How an apply run paces itself, and the rules that its times must keep."""

from dataclasses import dataclass

from calibr.changes.lease import HEARTBEATS_PER_LEASE
from calibr.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Times in seconds. `margin_s` is for what the store still does after we gave up waiting, and for clocks.

    `give_up_after` failed calls in a row pause the change: somebody has to look at the store or its credentials.
    """

    batch_size: int = 250
    parallel_batches: int = 4
    lease_s: float = 120.0
    margin_s: float = 8.0
    max_attempts: int = 8
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    give_up_after: int = 6

    @property
    def heartbeat_s(self) -> float:
        """How often the lease is renewed."""
        return self.lease_s / HEARTBEATS_PER_LEASE


def require_safe_lease(settings: ApplySettings, request_timeout_s: float) -> None:
    """Refuse a lease that could end while a request of its owner is still on its way to the store.

    A worker that dies has renewed its lease at most one heartbeat before, so that much less of the lease counts.
    """
    counted = settings.lease_s - settings.heartbeat_s
    needed = request_timeout_s + settings.margin_s
    if counted <= needed:
        raise Invalid(
            "apply.lease_too_short",
            f"lease_s is {settings.lease_s}: without a heartbeat of {settings.heartbeat_s} it must exceed the request "
            f"timeout of the connector, {request_timeout_s}, and the margin, {settings.margin_s}",
        )


def backoff_s(settings: ApplySettings, attempt: int, chance: float) -> float:
    """Exponential with full jitter: `chance` in [0, 1) of the delay that attempt number `attempt` (from 1) may take."""
    return min(settings.backoff_cap_s, settings.backoff_base_s * 2.0 ** (attempt - 1)) * chance
