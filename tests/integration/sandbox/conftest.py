"""A running sandbox for tests, and where the recordings of a real store are."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from calibr_sandbox.catalog_writer import NewProduct
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import SMALL_SHOP, StartedSandbox, Starter, started_sandbox

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from market_shop import SCOPES, Markets

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start sandboxes; keyword arguments go to the configuration, `products` is what is in the shop."""
    with ExitStack() as stack:

        def begin(
            products: tuple[NewProduct, ...] = SMALL_SHOP, certificates: Path | None = None, **fields: object
        ) -> StartedSandbox:
            settings = {"db": tmp_path / "shop.db", "bulk_delay_s": 0.0} | fields
            config = SandboxConfig(**settings)  # type: ignore[arg-type]
            return stack.enter_context(started_sandbox(config, products, certificates))

        yield begin


@pytest.fixture
def sandbox(start: Starter) -> StartedSandbox:
    return start()


@pytest.fixture
def shop(start: Starter) -> StartedSandbox:
    """One with the rights that markets and price lists take."""
    return start(scopes=SCOPES)


@pytest.fixture
def api(shop: StartedSandbox) -> Markets:
    """What an app asks of `shop`."""
    return Markets(shop)


@pytest.fixture
def markets(sandbox: StartedSandbox) -> Markets:
    """The same of `sandbox`, for modules that start their own."""
    return Markets(sandbox)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedSandbox]:
    """One sandbox for all tests of a module that change nothing in it."""
    config = SandboxConfig(db=tmp_path_factory.mktemp("shop") / "shop.db", bulk_delay_s=0.0)
    with started_sandbox(config) as started:
        yield started


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data; tests that need it are skipped where it is absent."""
    found = Path(os.environ.get("CALIBR_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    if not found.is_dir():
        pytest.skip(f"no reference data at {found}")
    return found
