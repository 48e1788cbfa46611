"""What can go wrong with one call to Shopify, in our words.

Each error says whether the call may have been executed all the same: such a write is never repeated blindly.
"""

from dataclasses import dataclass
from typing import Final

from calibr.core.errors import Upstream

UNREACHABLE: Final = "upstream.unreachable"
THROTTLED: Final = "upstream.throttled"
UNAUTHORIZED: Final = "upstream.unauthorized"
PROTOCOL: Final = "upstream.protocol"
UNAVAILABLE: Final = "upstream.unavailable"
STORE_FROZEN: Final = "upstream.store_frozen"
PRICE_LIST_GONE: Final = "upstream.price_list_gone"


@dataclass(frozen=True, slots=True)
class CostReport:
    """What an answer says about points: of this call, and of the bucket after it. `actual` is None if nothing ran."""

    requested: int | None
    actual: int | None
    maximum: int
    available: int
    restore_rate: int


@dataclass(eq=False)
class CallError(Upstream):
    """A call that brought no usable answer. `maybe_executed` is False only if the store certainly did nothing."""

    maybe_executed: bool = False
    retry_after_s: float | None = None


@dataclass(eq=False)
class ThrottledError(CallError):
    """The bucket did not hold the cost, or the store asked us to slow down. Nothing was executed."""

    report: CostReport | None = None


class TooLateError(ThrottledError):
    """The time of a call was over before it could be sent. The store knows nothing of it."""


class RefusedError(CallError):
    """The store does not accept what the call says. Nothing was executed, and repeating the call is pointless."""


class TooLargeError(RefusedError):
    """One call asks for more than the store takes at once; halves of it may pass."""


@dataclass(eq=False)
class TokenRefusedError(CallError):
    """The store does not accept the access token. Nothing was executed; with `may_renew` another one may pass."""

    may_renew: bool = False
