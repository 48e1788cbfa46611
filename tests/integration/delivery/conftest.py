"""Fixtures of the tests of delivery."""

import sys
from pathlib import Path

import pytest

from calibr.db import Context, Database

sys.path.insert(0, str(Path(__file__).parent))

from offices import Office


@pytest.fixture
def office(database: Database, tenant: Context) -> Office:
    """A tenant with a scripted subscriber."""
    return Office(database, tenant)
