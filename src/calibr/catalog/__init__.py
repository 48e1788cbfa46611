"""Connections, products, listings, price lists, price versions and costs, and how a store's catalog comes in."""

from calibr.catalog.model import ListingRef, NewPrice, PriceList, ProductLabel
from calibr.catalog.reads_plan import (
    list_price_lists,
    listing_refs,
    plan_source,
    product_ids_split,
    product_labels,
    rows_per_group,
)
from calibr.catalog.repository_prices import record_prices

__all__ = [
    "ListingRef",
    "NewPrice",
    "PriceList",
    "ProductLabel",
    "list_price_lists",
    "listing_refs",
    "plan_source",
    "product_ids_split",
    "product_labels",
    "record_prices",
    "rows_per_group",
]
