"""A pool of items for the tests below this folder."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from rule_pool import POOL, POOL_SIZE, Pool, row_of
from rule_strategies import item_pool

from calibr.db import Database


@pytest.fixture(scope="module")
def pool(database: Database, make_tenant: Callable[[], Any]) -> Iterator[Pool]:
    items = {UUID(int=number): item for number, item in enumerate(item_pool(POOL_SIZE), start=1)}
    with database.session(make_tenant().author) as session:
        POOL.create(session.connection)
        for product_id, item in items.items():
            session.execute(insert(POOL).values(id=product_id, **row_of(item)))
        session.execute(text("analyze pricing_pool"))
        yield Pool(session, items)
        session.execute(text("drop table pricing_pool"))
