"""Short ids ("123") as the rest of Calibr keeps them, and Shopify's global ids."""

import re
from typing import Final

PRODUCT: Final = "Product"
VARIANT: Final = "ProductVariant"
PRICE_LIST: Final = "PriceList"
MARKET: Final = "Market"
COMPANY_LOCATION: Final = "CompanyLocation"

_SHORT: Final = re.compile(r"[1-9][0-9]{0,18}")
_GLOBAL: Final = re.compile(r"gid://shopify/([A-Za-z]+)/([1-9][0-9]{0,18})")


def is_short_id(text: str) -> bool:
    """Whether `text` is the numeric tail of a global id."""
    return _SHORT.fullmatch(text) is not None


def to_gid(kind: str, short_id: str) -> str:
    """Write the global id."""
    return f"gid://shopify/{kind}/{short_id}"


def from_gid(kind: str, gid: object) -> str | None:
    """Return the short id, or None if `gid` does not name a `kind`."""
    match = _GLOBAL.fullmatch(gid) if isinstance(gid, str) else None
    return match[2] if match and match[1] == kind else None
