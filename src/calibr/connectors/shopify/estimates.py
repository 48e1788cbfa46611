"""What applying a plan would take, by Shopify's cost model and what the store's answers said so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from calibr.connectors.port import Estimate
from calibr.connectors.shopify.batches import MAX_ARRAY
from calibr.connectors.shopify.bucket import BucketView
from calibr.connectors.shopify.costs import CostBook
from calibr.connectors.shopify.documents import PRICES, UPDATE_PRICES

STANDARD_BUCKET: Final = 2_000
STANDARD_RATE: Final = 100
TYPICAL_LATENCY_S: Final = 0.3
READS_PER_ROW: Final = 2
"""Each row is read before it is written and read back afterwards."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast calls can go: the store's bucket, the seconds of one write if known, and the calls under way at once."""

    bucket: BucketView
    write_latency_s: float | None
    at_once: int


def estimate(rows_per_group: Sequence[int], costs: CostBook, pace: Pace) -> Estimate:
    """Estimate reading, writing and reading back these rows; each item of `rows_per_group` is one Shopify product."""
    writes = [size for rows in rows_per_group for size in _chunk_sizes(rows)]
    reads = _chunk_sizes(sum(rows_per_group)) * READS_PER_ROW
    points = sum(costs.expect(UPDATE_PRICES, size) for size in writes)
    points += sum(costs.expect(PRICES, size) for size in reads)
    bucket = pace.bucket
    rate, saved = (bucket.restore_rate, bucket.available) if bucket.known else (STANDARD_RATE, STANDARD_BUCKET)
    by_points = max(0, points - saved) / rate
    by_latency = len(writes) * (pace.write_latency_s or TYPICAL_LATENCY_S) / pace.at_once
    return Estimate(len(writes) + len(reads), points, math.ceil(max(by_points, by_latency)))


def _chunk_sizes(rows: int) -> list[int]:
    whole, rest = divmod(rows, MAX_ARRAY)
    return [MAX_ARRAY] * whole + ([rest] if rest else [])
