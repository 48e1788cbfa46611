"""The suite that every connector passes: what the port promises, checked against a store that can be looked into.

It knows no vendor and no test framework. A connector's tests give it a `StoreUnderTest` and run each of `CHECKS`.
"""

from calibr.connectors.conformance import failures, reading, writing
from calibr.connectors.conformance.store import Check, Damage, Listing, StoredPrice, StoreUnderTest

CHECKS: tuple[Check, ...] = (*reading.CHECKS, *writing.CHECKS, *failures.CHECKS)

__all__ = ["CHECKS", "Check", "Damage", "Listing", "StoreUnderTest", "StoredPrice"]
