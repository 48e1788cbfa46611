"""Sandboxes for tests: a small shop, a clock that stands still, a client, all gone at the end of the block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibr_sandbox.catalog_writer import NewProduct, NewVariant, create_shop
from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.endpoint import Shop
from calibr_sandbox.server import running_sandbox
from calibr_sandbox.serving import Addresses, Ports

SHIRT: Final = NewProduct(
    title="Shirt",
    handle="shirt",
    vendor="Acme",
    product_type="Tops",
    tags=("new", "sale"),
    option_names=("Color", "Size"),
    variants=(
        NewVariant(("Red", "Small"), "10.00"),
        NewVariant(("Blue", "Large"), "11.00", compare_at_price="15.00", cost="4.50", sku="BLUE"),
    ),
    created_at=1_767_225_601,
)
MUG: Final = NewProduct(
    "Mug", "mug", "Kumo", "", (), ("Title",), (NewVariant(("Default Title",), "7.50"),), 1_767_225_602
)
SMALL_SHOP: Final = (SHIRT, MUG)


@dataclass
class ManualClock:
    """A clock that stands still until a test moves it."""

    now: float = 0.0

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now


@dataclass(frozen=True, slots=True)
class StartedSandbox:
    """A running shop: its address, a client with its first token, its inside, and the clock of its throttle."""

    url: str
    client: SandboxClient
    shop: Shop
    clock: ManualClock
    addresses: Addresses


Starter = Callable[..., StartedSandbox]
"""What the tests of the sandbox start shops with: products, and fields of the configuration."""


@contextmanager
def started_sandbox(
    config: SandboxConfig,
    products: tuple[NewProduct, ...] = SMALL_SHOP,
    certificates: Path | None = None,
) -> Iterator[StartedSandbox]:
    """Serve a shop with these products (a file that exists keeps its own) for as long as the block lasts.

    With a folder for `certificates`, TLS and the proxy are served too.
    """
    if not config.db.exists():
        create_shop(config.db, products, config.currency)
    clock = ManualClock()
    ports = Ports(certificates=certificates)
    with running_sandbox(config, clock, ports) as running, SandboxClient(running.url, config.tokens[0]) as client:
        yield StartedSandbox(running.url, client, running.shop, clock, running.addresses)
