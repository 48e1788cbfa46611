"""A small part of the recordings of a real store, on every run of the tests; `make conformance` replays them all."""

from pathlib import Path

import pytest
import run

SOME = (
    "2025-01/products/product-variants-bulk-update-parity.json",
    "2025-01/bulk-operations/bulk-operation-run-mutation-operation-in-progress.json",
    "2026-04/bulk-operations/bulk-operation-run-mutation-allowed-roots.json",
    "2026-04/bulk-operations/bulk-operation-run-mutation-validators.json",
    "2026-04/bulk-operations/bulk-operations-sort-key.json",
    "2026-04/markets/price-list-fixed-prices-validation.json",
    "2026-04/markets/catalog-relation-validation.json",
    "2026-04/products/product-contextual-pricing-price-list-parity.json",
    "2026-04/webhooks/webhook-subscription-list-connection.json",
    "2026-04/media/media-staged-uploads-create-validation.json",
)


@pytest.mark.parametrize("name", SOME)
def test_the_sandbox_answers_as_the_real_store_did(recordings: Path, name: str) -> None:
    found = run.outcome_of(recordings / name, name)

    assert found.verdict == "matches", found.differences
