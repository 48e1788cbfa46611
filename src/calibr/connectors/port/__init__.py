"""What a connector can do. Features know this module and never a vendor.

A connector turns vendor ids, vendor money and vendor errors into ours in one place. Prices are absolute integers of
minor units. A connector never decides whether a price may be written: it is told what to write, and it reports what it
saw.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

Progress = Callable[[str, int, int | None], None]
"""`progress(stage, done, total)`: stage is a word for people, total is None while unknown."""

STAGE_COLUMNS: tuple[str, ...] = (
    "external_id", "group_external_id", "sku", "title", "vendor", "product_type", "status", "tags", "attributes",
    "sku_norm", "title_norm", "vendor_norm", "product_type_norm", "status_norm", "tags_norm", "attributes_norm",
    "unit_amount", "compare_at", "cost_currency", "unit_cost", "fingerprint",
)  # fmt: skip
"""Columns of a staged catalog row, in order.

Prices are integers of minor units of the base price list's currency, costs of `cost_currency`. `fingerprint` is a UUID
over the group's id, texts, tags and attributes in both forms: two rows of one listing with equal fingerprints differ in
amounts at most.
"""


class Capability(StrEnum):
    """What a connector offers; without `WRITE_PRICES` the engine refuses with `connector_read_only`."""

    READ_CATALOG = "read_catalog"
    READ_PRICES = "read_prices"
    WRITE_PRICES = "write_prices"


@dataclass(frozen=True, slots=True)
class BasePriceList:
    """The store's base prices: their currency, and a name for people."""

    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class CatalogFinding:
    """A value that was refused at ingest; its row is left out (or the value counts as null, as `rule` says)."""

    external_id: str
    field: str
    value: str | None
    rule: str


class CatalogStream(Protocol):
    """A whole catalog, read once, in bounded memory.

    `chunks` yields bytes in PostgreSQL `COPY ... (FORMAT csv)` with the columns `STAGE_COLUMNS`, ordered so that
    listings of one group stand together. Each external id appears once.
    """

    base_price_list: BasePriceList
    rows_total: int | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the staged rows; may be consumed once."""
        ...

    def findings(self) -> Sequence[CatalogFinding]:
        """Values that were refused; complete once `chunks` is exhausted."""
        ...

    def close(self) -> None:
        """Release files and memory."""
        ...


@dataclass(frozen=True, slots=True)
class RemotePrice:
    """What the store asks now for one listing of a price list.

    `relative`: no price is fixed there, this one follows the base price (only on lists beside the base prices; amounts
    are null where the store does not tell it in the list's currency).

    `fault` says why a value of the store is not an amount of the currency; both amounts are then null and must not be
    taken for equal to anything.
    """

    external_id: str
    currency: str
    unit_amount: int | None
    compare_at: int | None
    fault: str | None = None
    relative: bool = False


@dataclass(frozen=True, slots=True)
class PriceWrite:
    """One absolute write.

    `compare_at` is written only if `write_compare_at`: null then clears, and zero is never sent for null. No
    `unit_amount`: the fixed price of the list is taken away, so that it follows the base price again.
    """

    external_id: str
    group_external_id: str
    currency: str
    unit_amount: int | None
    compare_at: int | None
    write_compare_at: bool


class WriteOutcome(StrEnum):
    """How one write ended, judged by the values in the answer and never by presence."""

    WRITTEN = "written"
    REJECTED = "rejected"  # permanent: the store refuses this value or no longer has the listing
    RETRY = "retry"  # certainly not written, worth another try
    UNKNOWN = "unknown"  # no answer: it may have been written


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The outcome of one `PriceWrite`, with the values that the store showed in its answer (None: it showed none)."""

    external_id: str
    outcome: WriteOutcome
    observed: RemotePrice | None = None
    code: str | None = None
    message: str | None = None
    retry_after_s: int | None = None


class WritePath(StrEnum):
    """How rows get to a store."""

    CALLS = "calls"  # one after another, each answered at once
    BULK = "bulk"  # as files, which the store works through by itself


@dataclass(frozen=True, slots=True)
class Estimate:
    """What writing would take by the connector's own cost model, on the path that it would choose."""

    calls: int
    points: int
    seconds: int
    path: WritePath = WritePath.CALLS


@dataclass(frozen=True, slots=True)
class BulkStart:
    """How handing a file of writes to the store ended: WRITTEN means that it is at work on it as `operation_id`.

    UNKNOWN: no answer, so that it may have begun; `BulkWriter.find` tells.
    """

    outcome: WriteOutcome
    operation_id: str | None = None
    code: str | None = None
    message: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class BulkView:
    """A file of writes as the store shows it. What is over writes nothing any more, whatever became of its rows."""

    operation_id: str
    status: str
    is_over: bool
    objects: int
    result_url: str | None = field(default=None, repr=False)
    result_size: int | None = None


class BulkWriter(Protocol):
    """Writes many prices at a time, in a file that the store works through on its own time.

    All calls raise `core.errors.Upstream` as those of a connector do, and take no longer than its `request_timeout_s`.
    """

    least_rows: int
    """Fewer rows are not worth a file."""
    most_rows: int
    """How many rows one file should have at most."""

    def start(self, tag: str, writes: Sequence[PriceWrite], *, until: float) -> BulkStart:
        """Hand over absolute writes under a name of their own. Sent at most once, and not after `until`."""
        ...

    def find(self, tag: str, since: datetime) -> BulkView | None:
        """The file of this name, begun after `since`; None if the store knows of none."""
        ...

    def look(self, operation_id: str) -> BulkView | None:
        """How far it is; None if the store does not know it (any more)."""
        ...

    def cancel(self, operation_id: str) -> None:
        """Ask the store to stop; it is over only once `look` says so."""
        ...

    def layout(self, writes: Sequence[PriceWrite]) -> bytes:
        """A digest of which write stands in which line: results can be told apart only by the same layout."""
        ...

    def results(self, view: BulkView, writes: Sequence[PriceWrite]) -> list[WriteResult]:
        """What became of the writes of a file that is over, in order; they must be exactly those it was started with.

        A row that the result does not show is UNKNOWN.
        """
        ...


@dataclass(frozen=True, slots=True)
class ThrottleShare:
    """How much of the store's rate limit is used: by everybody who calls as we do, and what was refused to us."""

    used_percent: int
    available: int
    maximum: int
    restore_rate: int
    calls: int
    throttled: int


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of `check()`. `problems` are sentences for a person; empty means healthy. `warnings` can wait.

    `webhooks` is for connectors that are told of changes: one entry per
    topic, None where there are none.
    """

    ok: bool
    latency_ms: int | None
    store_name: str | None
    currency: str | None
    api_version: str | None
    scopes: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())
    checked_at: datetime | None = None
    plan: str | None = None
    asked_version: str | None = None
    missing_scopes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    throttle: ThrottleShare | None = None
    auth_method: str | None = None
    token_expires_at: datetime | None = None
    webhooks: Mapping[str, str] | None = None


class Connector(Protocol):
    """One connection to one store. Instances are thread-safe; `close` ends their network resources.

    Errors: `core.errors.Upstream` with a dotted code (`upstream.unreachable`, `upstream.throttled`,
    `upstream.unauthorized`, `upstream.protocol`), retryable or not.
    """

    kind: str
    capabilities: frozenset[Capability]
    request_timeout_s: float
    """No call of this connector is in flight for longer; the apply lease must exceed it."""
    bulk: BulkWriter | None
    """Its path for many writes, if it has one."""

    def check(self) -> Health:
        """Ask the store who it is and what we may do. Never raises for a store that answers badly."""
        ...

    def read_catalog(self, work_dir: Path, progress: Progress) -> CatalogStream:
        """Read the whole catalog; temporary files go to `work_dir`."""
        ...

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        """Current prices by external id. A listing that the store no longer has is absent from the answer."""
        ...

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:
        """Write absolute prices; exactly one result per write. Never raises for a single row.

        No request leaves after `until`, a moment of `time.monotonic`.
        """
        ...

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        """Cost of reading, writing and reading back; one entry per group with the number of its changed rows."""
        ...

    def close(self) -> None:
        """End connections and threads."""
        ...


ConnectorFactory = Callable[[dict[str, object], dict[str, str]], Connector]
"""`factory(config, secrets)`: validates the configuration (`core.errors.Invalid` names the field) and does no I/O."""
