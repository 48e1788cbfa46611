"""What a sandbox shop is set up with: plan, token, currency, scopes, delays. Values only, no I/O."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibr_sandbox.money import decimals_of

API_VERSION: Final = "2026-10"
MAX_QUERY_COST: Final = 1_000
MAX_PAGE_SIZE: Final = 250
MAX_ARRAY_SIZE: Final = 250
MAX_VARIANTS_PER_PRODUCT: Final = 2_048
MAX_BULK_OPERATIONS: Final = 5
DEFAULT_TOKEN: Final = "shpat_sandbox"  # noqa: S105 - the well-known token of a server that holds no secrets
DEFAULT_WEBHOOK_SECRET: Final = "shpss_sandbox"  # noqa: S105 - as well known as the token
DEFAULT_WEBHOOK_SPEED: Final = 4_800.0
"""Four hours of retries take three seconds."""
DEFAULT_SCOPES: Final = ("read_inventory", "read_markets", "read_products", "write_products")


@dataclass(frozen=True, slots=True)
class Plan:
    """A rate-limit profile: bucket size in points and points restored per second."""

    name: str
    bucket: int
    restore_per_s: int


PLANS: Final[dict[str, Plan]] = {
    "standard": Plan("Standard", 2_000, 100),
    "advanced": Plan("Advanced", 4_000, 200),
    "plus": Plan("Plus", 20_000, 1_000),
    "enterprise": Plan("Enterprise", 40_000, 2_000),
}


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Everything a sandbox server needs to start.

    `currency` is used only when `db` is created; an existing file keeps its own. `bulk_delay_s` is how long
    a bulk operation stays CREATED, and then at least how long it stays RUNNING; `cancel_delay_s`, how long CANCELING.
    `webhook_secret` signs webhooks.
    The four hours of a failing webhook's retries are divided by `webhook_speed`.
    """

    db: Path
    plan: str = "plus"
    tokens: tuple[str, ...] = (DEFAULT_TOKEN,)
    currency: str = "USD"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    shop_name: str = "Calibr Sandbox"
    shop_domain: str = "calibr-sandbox.myshopify.com"
    bulk_delay_s: float = 0.2
    cancel_delay_s: float = 0.0
    seed: int = 1
    webhook_secret: str = DEFAULT_WEBHOOK_SECRET
    webhook_speed: float = DEFAULT_WEBHOOK_SPEED

    def __post_init__(self) -> None:
        """Refuse an unknown plan or currency, a missing token or secret, a negative delay."""
        decimals_of(self.currency)
        if self.plan not in PLANS:
            raise ValueError(f"plan: {self.plan!r} is unknown; known are {', '.join(PLANS)}")
        if not self.tokens or not all(self.tokens):
            raise ValueError("tokens: at least one access token is needed and none may be empty")
        if not self.webhook_secret:
            raise ValueError("webhook_secret: it may not be empty")
        if not 0 < self.webhook_speed < math.inf:
            raise ValueError(f"webhook_speed: {self.webhook_speed} is no number above zero")
        for name in ("bulk_delay_s", "cancel_delay_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is negative; a delay is zero or more seconds")
