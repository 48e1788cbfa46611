"""The access scopes that Calibr needs in a store, what each is for, and which of them were not granted."""

from collections.abc import Iterable, Mapping
from typing import Final

REQUIRED_SCOPES: Final[Mapping[str, str]] = {
    "write_products": "read the catalog and write prices",
    "read_inventory": "read costs, which margins are computed from",
    "read_markets": "read the price lists of markets and companies, and what buyers in a country pay",
}


def missing_scopes(granted: Iterable[str]) -> list[str]:
    """Return the required scopes that are not granted. Writing includes reading, which Shopify may leave unsaid."""
    held = set(granted)
    held |= {f"read_{scope.removeprefix('write_')}" for scope in held if scope.startswith("write_")}
    return [scope for scope in REQUIRED_SCOPES if scope not in held]
