"""Writes prices: one call per product and at most 250 rows, products side by side under the throttle.

A call is sent at most once. Whatever happens, each row gets exactly one result, and no call starts after the deadline.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify.batches import MAX_ARRAY, cut, run_all, send_splitting
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import UPDATE_PRICES, Document
from calibr.connectors.shopify.errors import (
    PROTOCOL,
    STORE_FROZEN,
    UNAUTHORIZED,
    CallError,
    RefusedError,
    ThrottledError,
    TooLargeError,
)
from calibr.connectors.shopify.gids import PRODUCT, VARIANT, is_short_id, to_gid
from calibr.connectors.shopify.money import write_amount
from calibr.connectors.shopify.outcomes import judge, without_answer
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.core.errors import Fault, Invalid

INVALID_ROW: Final = "invalid_row"
CURRENCY_MISMATCH: Final = "currency_mismatch"
FAILURES_BEFORE_STOP: Final = 3

_HOPELESS: Final = frozenset({UNAUTHORIZED, STORE_FROZEN, PROTOCOL})
"""Errors that the next call would meet again. A store that does not answer once may answer the next time."""


class PriceWriter:
    """Writes absolute prices. Thread-safe."""

    def __init__(self, client: ShopifyClient, currency: ShopCurrency, pool: ThreadPoolExecutor) -> None:
        self._client = client
        self._currency = currency
        self._pool = pool

    def write(self, writes: Sequence[PriceWrite], until: float) -> list[WriteResult]:
        """Return one result per write, in order. Raises `Invalid`, and sends nothing, if a listing comes twice."""
        results = refusals(writes)
        fit = [write for write in writes if write.external_id not in results]
        if fit:
            results |= {result.external_id: result for result in self._write_fit(fit, until)}
        return [results[write.external_id] for write in writes]

    def _write_fit(self, writes: Sequence[PriceWrite], until: float) -> list[WriteResult]:
        try:
            told = self._currency.get(until)
        except CallError as err:
            return without_answer(writes, _before_sending(err))
        strangers = [mismatch(write, told) for write in writes if write.currency != told]
        groups = by_product([write for write in writes if write.currency == told])
        call = WriteCall(self._client, until)
        # The chunks of one product go one after another: Shopify locks a product while it writes it.
        done = run_all(self._pool, lambda group: self._write_group(group, call), groups)
        return strangers + [result for results in done for result in results]

    def _write_group(self, group: Sequence[PriceWrite], call: "WriteCall") -> list[WriteResult]:
        parts: list[list[WriteResult]] = []
        for chunk in cut(group, MAX_ARRAY):
            parts += send_splitting(lambda rows: self._write_once(rows, call), chunk)
        return [result for part in parts for result in part]

    def _write_once(self, writes: Sequence[PriceWrite], call: "WriteCall") -> list[WriteResult]:
        return call.send(
            UPDATE_PRICES,
            update_variables(writes),
            writes,
            lambda data: judge(writes, data.get("productVariantsBulkUpdate")),
        )


def by_product(writes: Sequence[PriceWrite]) -> list[list[PriceWrite]]:
    """Group by product, in the order in which each comes first."""
    groups: dict[str, list[PriceWrite]] = {}
    for write in writes:
        groups.setdefault(write.group_external_id, []).append(write)
    return list(groups.values())


def update_variables(writes: Sequence[PriceWrite]) -> dict[str, Any]:
    """Return the variables of the mutation that writes rows of one product, on either path."""
    return {
        "productId": to_gid(PRODUCT, writes[0].group_external_id),
        "variants": [variant_input(write) for write in writes],
    }


def variant_input(write: PriceWrite) -> dict[str, Any]:
    """Return the input of one row. Compare-at is left out, cleared by null or set; null never becomes zero."""
    if write.unit_amount is None:
        raise ValueError(f"the row of variant {write.external_id} has no price")  # `refusals` has let it pass
    price = write_amount(write.unit_amount, write.currency)
    row: dict[str, Any] = {"id": to_gid(VARIANT, write.external_id), "price": price}
    if write.write_compare_at:
        row["compareAtPrice"] = None if write.compare_at is None else write_amount(write.compare_at, write.currency)
    return row


class WriteCall:
    """Sends the calls of one request to write: each at most once, and none when the rest is not worth it."""

    def __init__(self, client: ShopifyClient, until: float) -> None:
        self._client = client
        self._until = until
        self._stop = _Stop()

    def send(
        self,
        document: Document,
        variables: Mapping[str, Any],
        writes: Sequence[PriceWrite],
        judge_answer: Callable[[dict[str, Any]], list[WriteResult]],
    ) -> list[WriteResult]:
        """Send these rows and return one result for each. Raises `TooLargeError` if fewer of them may pass."""
        if (reason := self._stop.reason()) is not None:
            return without_answer(writes, reason)
        try:
            data = self._client.call(document, variables, rows=len(writes), until=self._until)
            results = judge_answer(data)
        except TooLargeError as err:
            if len(writes) > 1:
                raise
            return without_answer(writes, err)
        except CallError as err:
            self._stop.failed(err)
            return without_answer(writes, err)
        self._stop.succeeded()
        return results


class _Stop:
    """Says when the rest is not worth sending: at once if the connection is broken, or after failures in a row."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_a_row = 0
        self._reason: CallError | None = None

    def reason(self) -> CallError | None:
        with self._lock:
            return self._reason

    def failed(self, error: CallError) -> None:
        if isinstance(error, RefusedError | ThrottledError):
            return
        with self._lock:
            self._in_a_row += 1
            broken = not error.maybe_executed and error.code in _HOPELESS
            if broken or self._in_a_row >= FAILURES_BEFORE_STOP:
                self._reason = self._reason or _before_sending(error)

    def succeeded(self) -> None:
        with self._lock:
            self._in_a_row = 0


def _before_sending(error: CallError) -> CallError:
    """The same error for rows that were never sent."""
    return CallError(error.code, error.message, retryable=error.retryable, retry_after_s=error.retry_after_s)


def refusals(writes: Sequence[PriceWrite], *, may_take_away: bool = False) -> dict[str, WriteResult]:
    """Return by external id what must never reach a store, whoever asked for it, with the reason.

    A row without an amount `may_take_away` the fixed price of a list. Raises `Invalid` if a listing comes twice.
    """
    _refuse_duplicates(writes)
    return {
        write.external_id: refusal for write in writes if (refusal := _refuse_row(write, may_take_away=may_take_away))
    }


def mismatch(write: PriceWrite, told: str) -> WriteResult:
    """Refuse a write in another currency than the store's."""
    return _refused(write, CURRENCY_MISMATCH, f"The store's currency is {told}, not {write.currency}.")


def _refuse_duplicates(writes: Sequence[PriceWrite]) -> None:
    seen: set[str] = set()
    for write in writes:
        if write.external_id in seen:
            rule = "must not come twice in one call: the order of the two would decide the price"
            fault = Fault("$.writes.external_id", write.external_id, rule)
            raise Invalid("connector.duplicate_write", f"external id {write.external_id} {rule}.", faults=(fault,))
        seen.add(write.external_id)


def _refuse_row(write: PriceWrite, *, may_take_away: bool) -> WriteResult | None:
    is_taken_away = may_take_away and write.unit_amount is None
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (
        (is_short_id(write.external_id), lambda: f"external id {write.external_id!r} is not a variant number"),
        (is_short_id(write.group_external_id), lambda: f"group {write.group_external_id!r} is not a product number"),
        (
            may_take_away or write.unit_amount is not None,
            lambda: "there is no unit_amount, and a base price cannot be taken away",
        ),
        (
            not is_taken_away or write.compare_at is None,
            lambda: f"compare_at {write.compare_at} cannot stand without a unit_amount",
        ),
        (not (write.unit_amount or 0) < 0, lambda: f"unit_amount {write.unit_amount} is negative"),
        (write.compare_at is None or write.compare_at >= 0, lambda: f"compare_at {write.compare_at} is negative"),
    )
    broken = next((say for holds, say in checks if not holds), None)
    return None if broken is None else _refused(write, INVALID_ROW, f"{broken()}; nothing was sent.")


def _refused(write: PriceWrite, code: str, message: str) -> WriteResult:
    return WriteResult(write.external_id, WriteOutcome.REJECTED, None, code, message)
