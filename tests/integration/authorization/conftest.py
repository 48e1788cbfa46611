"""A running API and a sandbox store of a test's own, which grants tokens as Shopify does."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from merchants import Merchant
from rest import Team, anonymous, api_url, log_lines, make_team, team
from rest import services as common_services

from calibr.http import ApiServices
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import started_sandbox

__all__ = ["anonymous", "api_url", "common_services", "log_lines", "make_team", "team"]


@pytest.fixture(scope="session")
def services(common_services: ApiServices) -> ApiServices:
    """Reached by browsers where the caller reached it, so that a way back really leads there."""
    return replace(common_services, public_url=None)


@pytest.fixture
def merchant(team: Team, tmp_path: Path) -> Iterator[Merchant]:
    """Somebody with a store, an app, and an author of Calibr beside them."""
    with started_sandbox(SandboxConfig(tmp_path / "shop.db", bulk_delay_s=0.4)) as store:
        yield Merchant(store.url, team)
