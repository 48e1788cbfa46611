"""What a sandbox shop is set up with: plan, token, currency, scopes, delays. Values only, no I/O."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibr_sandbox.money import decimals_of
from calibr_sandbox.scopes import parse_scopes
from calibr_sandbox.versions import NEWEST_VERSION, OLDEST_VERSION, is_version

API_VERSION: Final = "2026-10"
MAX_QUERY_COST: Final = 1_000
MAX_PAGE_SIZE: Final = 250
MAX_ARRAY_SIZE: Final = 250
MAX_VARIANTS_PER_PRODUCT: Final = 2_048
MAX_BULK_OPERATIONS: Final = 5
DEFAULT_TOKEN: Final = "shpat_sandbox"  # noqa: S105 - the well-known token of a server that holds no secrets
DEFAULT_CLIENT_ID: Final = "calibr-sandbox-app"
DEFAULT_CLIENT_SECRET: Final = "shpss_sandbox"  # noqa: S105 - as well known as the token
DEFAULT_WEBHOOK_SECRET: Final = DEFAULT_CLIENT_SECRET
DEFAULT_WEBHOOK_SPEED: Final = 4_800.0
"""Four hours of retries take three seconds."""
DEFAULT_SCOPES: Final = ("read_inventory", "read_markets", "read_products", "write_products")


SHOP_DOMAIN: Final = "calibr-sandbox.myshopify.com"
MAX_TIME_FACTOR: Final = 100_000
_SHOP_DOMAIN: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com")


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

    `currency` is used only when `db` is created; an existing file keeps its own. `bulk_delay_s` is how long a bulk
    operation stays CREATED, and then at least how long it stays RUNNING; `cancel_delay_s`, how long CANCELING;
    `bulk_lines_per_s` is how fast one goes through the lines of a mutation, 0 for as fast as it can.
    `webhook_secret` signs webhooks; if it is None the client secret does, and follows its rotation. Without
    `redirect_urls` the app may be sent back to any http address after it was authorized. `time_factor` is how fast the
    sandbox's time runs. Calls to versions before `oldest_version` are answered by that one. The four hours of a failing
    webhook's retries are divided by `webhook_speed`.
    """

    db: Path
    plan: str = "plus"
    tokens: tuple[str, ...] = (DEFAULT_TOKEN,)
    currency: str = "USD"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    shop_name: str = "Calibr Sandbox"
    shop_domain: str = SHOP_DOMAIN
    bulk_delay_s: float = 0.2
    bulk_lines_per_s: float = 0.0
    cancel_delay_s: float = 0.0
    seed: int = 1
    webhook_secret: str | None = None
    webhook_speed: float = DEFAULT_WEBHOOK_SPEED
    client_id: str = DEFAULT_CLIENT_ID
    client_secret: str = DEFAULT_CLIENT_SECRET
    redirect_urls: tuple[str, ...] = ()
    time_factor: float = 1.0
    oldest_version: str = OLDEST_VERSION

    def __post_init__(self) -> None:
        """Refuse an unknown plan or currency, what is missing or malformed, a time that stands or runs backwards."""
        self._require_names()
        self._require_times()

    def _require_names(self) -> None:
        decimals_of(self.currency)
        if self.plan not in PLANS:
            raise ValueError(f"plan: {self.plan!r} is unknown; known are {', '.join(PLANS)}")
        if not self.tokens or not all(self.tokens):
            raise ValueError("tokens: at least one access token is needed and none may be empty")
        for name in ("webhook_secret", "client_id", "client_secret"):
            if getattr(self, name) == "":
                raise ValueError(f"{name}: it may not be empty")
        if not _SHOP_DOMAIN.fullmatch(self.shop_domain):
            raise ValueError(f"shop_domain: {self.shop_domain!r} is not like my-shop.myshopify.com")
        parse_scopes(",".join(self.scopes))
        if not is_version(self.oldest_version):
            raise ValueError(f"oldest_version: {self.oldest_version!r} is not a version up to {NEWEST_VERSION}")

    def _require_times(self) -> None:
        if not 0 < self.time_factor <= MAX_TIME_FACTOR:
            raise ValueError(f"time_factor: {self.time_factor} is not above 0 and up to {MAX_TIME_FACTOR}")
        if not 0 < self.webhook_speed < math.inf:
            raise ValueError(f"webhook_speed: {self.webhook_speed} is no number above zero")
        for name in ("bulk_delay_s", "cancel_delay_s", "bulk_lines_per_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is negative; it must be zero or more")

    @property
    def bulk_pause_s(self) -> float:
        """`bulk_delay_s` in the machine's seconds."""
        return self.bulk_delay_s / self.time_factor

    @property
    def cancel_pause_s(self) -> float:
        """`cancel_delay_s` in the machine's seconds."""
        return self.cancel_delay_s / self.time_factor

    @property
    def bulk_line_s(self) -> float:
        """How long a line of a bulk mutation takes at least, in the machine's seconds."""
        return 1 / (self.bulk_lines_per_s * self.time_factor) if self.bulk_lines_per_s else 0.0
