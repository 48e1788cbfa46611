"""The suite that every connector passes: what the port promises, checked against a store that can be looked into.

It knows no vendor and no test framework. A connector's tests give it a `StoreUnderTest` and run each of `CHECKS`. Where
the connector has price lists, each of `BOOK_CHECKS` runs on one of them too: its prices are then those of the store.
"""

from calibr.connectors.conformance import failures, reading, writing
from calibr.connectors.conformance.store import BookCheck, Check, Damage, Listing, StoredPrice, StoreUnderTest

BOOK_CHECKS: tuple[BookCheck, ...] = (*reading.BOOK_CHECKS, *writing.BOOK_CHECKS, *failures.BOOK_CHECKS)
"""What holds for the base prices of a connector and for those of each of its price lists."""

CHECKS: tuple[Check, ...] = (*BOOK_CHECKS, *reading.CHECKS, *writing.BASE_CHECKS, *failures.CHECKS)

__all__ = ["BOOK_CHECKS", "CHECKS", "BookCheck", "Check", "Damage", "Listing", "StoreUnderTest", "StoredPrice"]
