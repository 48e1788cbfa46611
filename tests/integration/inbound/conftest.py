"""A storefront for each test: a sandbox store that is connected and read."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from rest import Team, anonymous, api_url, log_lines, make_team, services, team
from storefront import Storefront

from calibr.db import Database
from calibr.http import ApiServices
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import started_sandbox

__all__ = ["anonymous", "api_url", "log_lines", "make_team", "services", "team"]


@pytest.fixture
def connected(
    database: Database, services: ApiServices, team: Team, anonymous: httpx2.Client, tmp_path: Path
) -> Iterator[Storefront]:
    """Connected, and not read yet."""
    with started_sandbox(SandboxConfig(tmp_path / "shop.db", bulk_delay_s=0.01)) as sandbox:
        yield Storefront(database, services, team, sandbox, anonymous)


@pytest.fixture
def front(connected: Storefront, tmp_path: Path) -> Storefront:
    """Connected and read."""
    connected.sync(tmp_path)
    return connected
