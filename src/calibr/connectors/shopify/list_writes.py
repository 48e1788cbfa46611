"""Sets fixed prices of a price list and takes them away: at most 250 rows a call, of whatever products.

A fixed price stands as a whole, so that its compare-at price always goes with it: none means none. Shopify writes all
rows of a call or none of them; when it complains about some, the others go again without these.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, Final

from calibr.connectors.port import PriceWrite, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.shopify.batches import MAX_ARRAY, cut, send_splitting
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import ShownPrice, in_currency, read_shown
from calibr.connectors.shopify.documents import UPDATE_FIXED_PRICES
from calibr.connectors.shopify.gids import PRICE_LIST, VARIANT, from_gid, to_gid
from calibr.connectors.shopify.list_breaks import BreakGuard
from calibr.connectors.shopify.money import Unreadable, write_amount
from calibr.connectors.shopify.outcomes import Complaint, Complaints, judge_row, read_complaints, row_of
from calibr.connectors.shopify.shapes import as_list, as_object
from calibr.connectors.shopify.writes import CURRENCY_MISMATCH, WriteCall, refusals

WITH_OTHERS: Final = "refused_with_others"
ROUNDS: Final = 5
"""How often the rest of a call goes again without the rows that were complained about."""

_FIELD: Final = "priceListFixedPricesUpdate"
_NOT_FIXED: Final = "PRICE_NOT_FIXED"
_OUR_CODES: Final = {"PRICE_LIST_CURRENCY_MISMATCH": CURRENCY_MISMATCH}
_NOT_BEGUN: Final = frozenset({"PRICE_LIST_LOCKED", "LOCKED", "CONFLICT", "THROTTLED", "TOO_MANY_REQUESTS"})
"""Complaints for which Shopify certainly wrote nothing, and which pass."""


class ListPriceWriter:
    """Writes fixed prices of one list. Thread-safe."""

    def __init__(self, client: ShopifyClient, guard: BreakGuard, price_list: str) -> None:
        self._client = client
        self._guard = guard
        self._price_list = price_list
        self._turn = Lock()

    def write(self, writes: Sequence[PriceWrite], until: float) -> list[WriteResult]:
        """Return one result per write, in order. Raises `Invalid`, and sends nothing, if a listing comes twice."""
        results = refusals(writes, may_take_away=True)
        fit = [write for write in writes if write.external_id not in results]
        call = WriteCall(self._client, until)
        # One call after another, whoever calls: Shopify locks a price list while it writes it. A call knows its end.
        for chunk in cut(fit, MAX_ARRAY):
            with self._turn:
                results |= (kept := self._guard.refusals(chunk, until))
                rest = [write for write in chunk if write.external_id not in kept]
                parts = send_splitting(lambda rows: self._write_rounds(rows, call), rest) if rest else []
            results |= {result.external_id: result for part in parts for result in part}
        return [results[write.external_id] for write in writes]

    def _write_rounds(self, writes: Sequence[PriceWrite], call: WriteCall) -> list[WriteResult]:
        """Send these rows; again those that were not written only because others were refused."""
        results: dict[str, WriteResult] = {}
        left = list(writes)
        for _ in range(ROUNDS):
            results |= {result.external_id: result for result in self._write_once(left, call)}
            left = [write for write in left if results[write.external_id].code == WITH_OTHERS]
            if not left:
                break
        return list(results.values())

    def _write_once(self, writes: Sequence[PriceWrite], call: WriteCall) -> list[WriteResult]:
        variables = update_variables(self._price_list, writes)
        return call.send(UPDATE_FIXED_PRICES, variables, writes, lambda data: judge_fixed(writes, data.get(_FIELD)))


def update_variables(price_list: str, writes: Sequence[PriceWrite]) -> dict[str, Any]:
    """Return the variables of the mutation: what to set and what to take away. Null never becomes zero."""
    return {
        "id": to_gid(PRICE_LIST, price_list),
        "set": [_price_input(write, write.unit_amount) for write in writes if write.unit_amount is not None],
        "remove": [to_gid(VARIANT, write.external_id) for write in writes if write.unit_amount is None],
    }


def _price_input(write: PriceWrite, unit_amount: int) -> dict[str, Any]:
    def money(amount: int | None) -> dict[str, str] | None:
        return None if amount is None else {
            "amount": write_amount(amount, write.currency), "currencyCode": write.currency,
        }  # fmt: skip

    return {
        "variantId": to_gid(VARIANT, write.external_id),
        "price": money(unit_amount),
        "compareAtPrice": money(write.compare_at),
    }


def judge_fixed(writes: Sequence[PriceWrite], payload: object) -> list[WriteResult]:
    """Return one result per write from the payload of the mutation that carried exactly these rows.

    Raises `CallError` if the payload has another shape than was asked for.
    """
    answer = as_object(payload, _FIELD)
    complaints = _read_complaints(writes, answer)
    shown = _read_added(answer)
    gone = {from_gid(VARIANT, gid) for gid in as_list(answer.get("deletedFixedPriceVariantIds") or [], "deleted ids")}
    return [
        _judge_removed(write, complaints.by_row.get(row), complaints, is_gone=write.external_id in gone)
        if write.unit_amount is None
        else _judge_set(write, shown.get(write.external_id), complaints.by_row.get(row), complaints)
        for row, write in enumerate(writes)
    ]


def _judge_set(
    write: PriceWrite, shown: ShownPrice | Unreadable | None, own: Complaint | None, complaints: Complaints
) -> WriteResult:
    """The compare-at price counts whether the caller meant to change it or not: it went along."""
    if shown is None:
        return _unwritten(write, own, complaints)
    seen = in_currency(write.external_id, shown, write.currency, relative=False)
    return judge_row(replace(write, write_compare_at=True), seen, own, None)


def _judge_removed(write: PriceWrite, own: Complaint | None, complaints: Complaints, *, is_gone: bool) -> WriteResult:
    """What was not fixed any more was taken away by somebody else: not by us, so that it is read again."""
    if own is not None and own.code == _NOT_FIXED:
        return WriteResult(write.external_id, WriteOutcome.RETRY, None, own.code, own.message)
    if is_gone:
        follows = RemotePrice(write.external_id, write.currency, None, None, relative=True)
        return WriteResult(write.external_id, WriteOutcome.WRITTEN, follows)
    return _unwritten(write, own, complaints)


def _unwritten(write: PriceWrite, own: Complaint | None, complaints: Complaints) -> WriteResult:
    """Judge a row that the answer does not show as done."""
    complaint = own or complaints.of_call
    if complaint is not None and complaint.code in _NOT_BEGUN:
        return WriteResult(write.external_id, WriteOutcome.RETRY, None, complaint.code, complaint.message)
    if complaint is None and complaints.by_row:
        message = "The store refused other rows of the call, and wrote none of it."
        return WriteResult(write.external_id, WriteOutcome.RETRY, None, WITH_OTHERS, message)
    return judge_row(write, None, own, complaints.of_call)


def _read_complaints(writes: Sequence[PriceWrite], answer: dict[str, Any]) -> Complaints:
    """User errors by row of the call, whose rows went in two arguments."""
    rows = {
        "pricesToAdd": [row for row, write in enumerate(writes) if write.unit_amount is not None],
        "variantIdsToDelete": [row for row, write in enumerate(writes) if write.unit_amount is None],
    }

    def locate(field: object) -> int | None:
        for argument, places in rows.items():
            if (place := row_of(field, argument, len(places))) is not None:
                return places[place]
        return None

    found = read_complaints(as_list(answer.get("userErrors"), "userErrors"), locate)
    by_row = {row: _in_our_words(complaint) for row, complaint in found.by_row.items()}
    return Complaints(by_row, None if found.of_call is None else _in_our_words(found.of_call))


def _in_our_words(complaint: Complaint) -> Complaint:
    return replace(complaint, code=_OUR_CODES.get(complaint.code, complaint.code))


def _read_added(answer: dict[str, Any]) -> dict[str, ShownPrice | Unreadable]:
    nodes = [as_object(node, "pricesAdded entry") for node in as_list(answer.get("pricesAdded") or [], "pricesAdded")]
    ids = [from_gid(VARIANT, as_object(node.get("variant"), "variant").get("id")) for node in nodes]
    return {found: read_shown(node) for found, node in zip(ids, nodes, strict=True) if found is not None}
