"""How each write ended, judged by the values that the answer shows and never by presence. Pure.

With partial updates Shopify lists failed variants too, with their old values: only a value equal to the asked counts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from calibr.connectors.port import PriceWrite, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.errors import PROTOCOL, CallError, RefusedError
from calibr.connectors.shopify.prices import read_price
from calibr.connectors.shopify.shapes import as_list, as_object

NOT_WRITTEN: Final = "not_written"
NOT_SHOWN: Final = "not_shown"

# Codes of Shopify's user errors that speak of the moment and not of the value.
_TRANSIENT: Final = frozenset(
    {"CONFLICT", "INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", "LOCKED", "THROTTLED", "TIMEOUT", "TOO_MANY_REQUESTS"}
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """A user error."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Complaints:
    """User errors of one answer: by row, and the first that is about the whole call."""

    by_row: dict[int, Complaint]
    of_call: Complaint | None


def judge(writes: Sequence[PriceWrite], payload: object) -> list[WriteResult]:
    """Return one result per write from the payload of the mutation that carried exactly these rows.

    Raises `CallError` if the payload has another shape than was asked for.
    """
    answer = as_object(payload, "productVariantsBulkUpdate")
    errors = as_list(answer.get("userErrors"), "userErrors")
    complaints = read_complaints(errors, lambda field: row_of(field, "variants", len(writes)))
    currency = writes[0].currency
    nodes = (node for node in as_list(answer.get("productVariants") or [], "productVariants") if node is not None)
    shown = {price.external_id: price for node in nodes if (price := read_price(node, currency)) is not None}
    return [
        judge_row(write, shown.get(write.external_id), complaints.by_row.get(row), complaints.of_call)
        for row, write in enumerate(writes)
    ]


def without_answer(writes: Sequence[PriceWrite], error: CallError) -> list[WriteResult]:
    """Return one result per write of a call that ended in an error."""
    if error.maybe_executed:
        outcome = WriteOutcome.UNKNOWN
    elif isinstance(error, RefusedError):
        outcome = WriteOutcome.REJECTED
    else:
        outcome = WriteOutcome.RETRY
    wait = None if error.retry_after_s is None else math.ceil(error.retry_after_s)
    return [WriteResult(w.external_id, outcome, None, error.code, error.message, wait) for w in writes]


def judge_row(
    write: PriceWrite, shown: RemotePrice | None, own: Complaint | None, of_call: Complaint | None
) -> WriteResult:
    """Judge a row by what the answer shows of it, and by the complaints about it and about the whole call."""
    if own is None and shown is not None and _is_as_asked(write, shown):
        return WriteResult(write.external_id, WriteOutcome.WRITTEN, shown)
    complaint = own or of_call
    if complaint is not None:
        return _complained(write, shown, complaint)
    if shown is None:
        message = "The store's answer does not show this listing."
        return WriteResult(write.external_id, WriteOutcome.UNKNOWN, None, NOT_SHOWN, message)
    if shown.fault is not None:
        message = f"The store shows an amount that cannot be read: {shown.fault}."
        return WriteResult(write.external_id, WriteOutcome.UNKNOWN, shown, PROTOCOL, message)
    message = "The store reports no error but shows other values than the ones asked for."
    return WriteResult(write.external_id, WriteOutcome.REJECTED, shown, NOT_WRITTEN, message)


def _complained(write: PriceWrite, shown: RemotePrice | None, complaint: Complaint) -> WriteResult:
    outcome = WriteOutcome.REJECTED
    if complaint.code in _TRANSIENT:
        # Certainly not written only if the answer shows so.
        outcome = WriteOutcome.RETRY if shown is not None and not _is_as_asked(write, shown) else WriteOutcome.UNKNOWN
    return WriteResult(write.external_id, outcome, shown, complaint.code, complaint.message)


def _is_as_asked(write: PriceWrite, shown: RemotePrice) -> bool:
    same_compare_at = not write.write_compare_at or shown.compare_at == write.compare_at
    return shown.fault is None and shown.unit_amount == write.unit_amount and same_compare_at


def read_complaints(errors: Sequence[object], locate: Callable[[object], int | None]) -> Complaints:
    """Read user errors; `locate` returns the row that a path names, if it names one."""
    by_row: dict[int, Complaint] = {}
    of_call: Complaint | None = None
    for item in errors:
        error = as_object(item, "userErrors entry")
        complaint = Complaint(str(error.get("code") or "UNKNOWN"), readable(error.get("message", "no message")))
        row = locate(error.get("field"))
        if row is None:
            of_call = of_call or complaint
        else:
            by_row.setdefault(row, complaint)
    return Complaints(by_row, of_call)


def row_of(field: object, argument: str, rows: int) -> int | None:
    """Return the row that a path like `["variants", "1", "price"]` names (the index is a string)."""
    if not isinstance(field, list) or len(field) < 2 or field[0] != argument:  # noqa: PLR2004 - name and index
        return None
    index = str(field[1])
    return int(index) if index.isascii() and index.isdigit() and int(index) < rows else None
