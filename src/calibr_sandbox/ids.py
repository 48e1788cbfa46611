"""Global ids: `gid://shopify/<Type>/<number>`."""

import re
from typing import Final, NamedTuple, NewType

ProductId = NewType("ProductId", int)
VariantId = NewType("VariantId", int)
BulkOperationId = NewType("BulkOperationId", int)

FIRST_PRODUCT_ID: Final = 8_100_000_000_001
FIRST_VARIANT_ID: Final = 45_100_000_000_001
FIRST_BULK_OPERATION_ID: Final = 7_100_000_000_001
# One inventory item per variant: its id is the variant's, shifted.
INVENTORY_ITEM_SHIFT: Final = 2_000_000_000_000

_GID: Final = re.compile(r"gid://shopify/([A-Za-z]+)/([0-9]{1,18})(?:\?.*)?")


class GlobalId(NamedTuple):
    """A parsed global id."""

    type_name: str
    number: int


def parse_gid(text: str) -> GlobalId | None:
    """Split a global id; None when it does not have the form of one."""
    match = _GID.fullmatch(text)
    return GlobalId(match[1], int(match[2])) if match else None


def gid(type_name: str, number: int) -> str:
    """Write a global id."""
    return f"gid://shopify/{type_name}/{number}"
