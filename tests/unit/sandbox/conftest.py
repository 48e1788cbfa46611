"""What the unit tests of the sandbox share: an empty shop, and where the recordings of a real store are."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from calibr_sandbox.store import Store

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "shop.db", "USD")) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data; tests that need it are skipped where it is absent."""
    found = Path(os.environ.get("CALIBR_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    if not found.is_dir():
        pytest.skip(f"no reference data at {found}")
    return found
