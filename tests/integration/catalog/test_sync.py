"""A sync records what a store says, touches what differs and nothing else, and says so in events."""

from collections.abc import Callable
from typing import Any

import pytest
from catalog_shop import Item, Shop

VERSIONS = """
  select 'product' as kind, id::text as key, xmin::text, ctid::text from calibr.product
  union all select 'listing', external_id, xmin::text, ctid::text from calibr.listing
  union all select 'price', product_id || ' ' || valid_from, xmin::text, ctid::text from calibr.price_version
  union all select 'cost', product_id || ' ' || valid_from, xmin::text, ctid::text from calibr.product_cost
  order by 1, 2"""


def test_first(shop: Shop) -> None:
    summary = shop.sync()
    assert summary.baseline
