"""The modules of the runner stand beside the tests of it; the recordings outside of the project."""

import os
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
sys.path.insert(0, str(_HERE))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings; tests that need it are skipped where it is absent."""
    data = Path(os.environ.get("CALIBR_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    found = data / "shopify" / "recorded"
    if not found.is_dir():
        pytest.skip(f"no recordings at {found}")
    return found
