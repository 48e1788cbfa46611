"""What applying a plan would take, by Shopify's cost model and what the store's answers said so far; and which path."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from calibr.connectors.port import Estimate, WritePath
from calibr.connectors.shopify.batches import MAX_ARRAY
from calibr.connectors.shopify.bucket import BucketView
from calibr.connectors.shopify.bulk_write import LEAST_ROWS, MOST_ROWS
from calibr.connectors.shopify.costs import FIXED_POINTS, CostBook
from calibr.connectors.shopify.documents import (
    BULK_OPERATION,
    FIXED_PRICES,
    PRICES,
    PRICES_IN_CONTEXT,
    STAGE_UPLOAD,
    START_BULK_MUTATION,
    UPDATE_FIXED_PRICES,
    UPDATE_PRICES,
)

STANDARD_BUCKET: Final = 2_000
STANDARD_RATE: Final = 100
TYPICAL_LATENCY_S: Final = 0.3
READS_PER_ROW: Final = 2
"""Each row is read before it is written and read back afterwards, on either path."""

FILES_AT_ONCE: Final = 4
LOOKS_PER_FILE: Final = 10
LINES_PER_S: Final = 20.0
"""Lines of one file that the store works through in a second. Shopify promises nothing; this is on the careful side."""
FILE_OVERHEAD_S: Final = 6.0
"""What each file takes beside its lines: reading before and after, queueing, and the rest until the next look."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast calls can go: the store's bucket, the seconds of one write if known, and the calls under way at once."""

    bucket: BucketView
    write_latency_s: float | None
    at_once: int

    def seconds(self, points: int) -> float:
        """How long the bucket takes to give so many points, beyond what it holds already."""
        bucket = self.bucket
        rate, saved = (bucket.restore_rate, bucket.available) if bucket.known else (STANDARD_RATE, STANDARD_BUCKET)
        return max(0, points - saved) / rate


def estimate(rows_per_group: Sequence[int], costs: CostBook, pace: Pace, forced: WritePath | None = None) -> Estimate:
    """Estimate reading, writing and reading back these rows; each item of `rows_per_group` is one Shopify product.

    The path is the faster one, unless one is `forced`.
    """
    by_calls, by_files = _by_calls(rows_per_group, costs, pace), _by_files(rows_per_group, costs, pace)
    if forced is not None:
        return by_files if forced is WritePath.BULK else by_calls
    pays = sum(rows_per_group) >= LEAST_ROWS and by_files.seconds < by_calls.seconds
    return by_files if pays else by_calls


def estimate_list(rows: int, costs: CostBook, pace: Pace) -> Estimate:
    """Estimate the same for so many rows of a price list, whose calls go one after another."""
    writes = _chunk_sizes(rows)
    reads = writes * READS_PER_ROW
    # A relative price takes a second call, and nobody knows beforehand which ones are.
    reading = sum(costs.likely(FIXED_PRICES, FIXED_POINTS) + costs.likely(PRICES_IN_CONTEXT, size) for size in reads)
    points = sum(costs.likely(UPDATE_FIXED_PRICES, size) for size in writes) + reading
    return _calls(len(writes), 2 * len(reads), points, replace(pace, at_once=1))


def _by_calls(rows_per_group: Sequence[int], costs: CostBook, pace: Pace) -> Estimate:
    writes = [size for rows in rows_per_group for size in _chunk_sizes(rows)]
    reads = _chunk_sizes(sum(rows_per_group)) * READS_PER_ROW
    points = sum(costs.likely(UPDATE_PRICES, size) for size in writes) + _reading(reads, costs)
    return _calls(len(writes), len(reads), points, pace)


def _calls(writes: int, reads: int, points: int, pace: Pace) -> Estimate:
    by_latency = writes * (pace.write_latency_s or TYPICAL_LATENCY_S) / pace.at_once
    seconds = max(pace.seconds(points), by_latency)
    return Estimate(writes + reads, points, math.ceil(seconds), WritePath.CALLS)


def _by_files(rows_per_group: Sequence[int], costs: CostBook, pace: Pace) -> Estimate:
    rows = sum(rows_per_group)
    files = math.ceil(rows / MOST_ROWS)
    lines = sum(len(_chunk_sizes(size)) for size in rows_per_group)
    reads = _chunk_sizes(rows) * READS_PER_ROW
    asked = costs.likely(STAGE_UPLOAD, 0) + costs.likely(START_BULK_MUTATION, 0)
    asked += LOOKS_PER_FILE * costs.likely(BULK_OPERATION, 1)
    points = files * asked + _reading(reads, costs)
    at_work = (lines / LINES_PER_S + files * FILE_OVERHEAD_S) / max(1, min(files, FILES_AT_ONCE))
    seconds = math.ceil(max(pace.seconds(points), at_work))
    return Estimate(len(reads) + files * (2 + LOOKS_PER_FILE), points, seconds, WritePath.BULK)


def _reading(reads: Sequence[int], costs: CostBook) -> int:
    return sum(costs.likely(PRICES, size) for size in reads)


def _chunk_sizes(rows: int) -> list[int]:
    whole, rest = divmod(rows, MAX_ARRAY)
    return [MAX_ARRAY] * whole + ([rest] if rest else [])
