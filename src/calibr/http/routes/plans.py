"""Plans row by row: pages of items, why a price is what it is, and the text that anybody can seal again."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from calibr.changes import reads
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import ItemKey
from calibr.changes.reads_explain import explain_item
from calibr.changes.reads_price_lists import product_effects
from calibr.changes.seal import plan_lines
from calibr.core.ids import PriceChangeId, PriceListId, ProductId
from calibr.http.answer import Answer
from calibr.http.caller import ChangesRead
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.views import price_changes as views
from calibr.pricing import Verdict

router = APIRouter(prefix="/v1/price-changes/{change_id}", tags=["price changes"])
ITEMS = Keyset("items", (UUID, UUID))
BLOCK_BYTES: Final = 256 * 1024
IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


@router.get(
    "/items",
    summary="List the items of a plan",
    operation_id="list_price_change_items",
    responses={200: {"model": Page[views.ItemView]}},
)
def list_items(
    caller: ChangesRead,
    change_id: UUID,
    verdict: Annotated[Verdict | None, Query(description="`blocked`, `clamped`, `changed` or `unchanged`.")] = None,
    state: Annotated[ItemState | None, Query(description="Where the item stands on its way to the store.")] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """In the order of the plan; empty while there is no plan."""
    start = _item_key(*ITEMS.decode(after)) if after is not None else None
    with caller.session() as session:
        rows = reads.list_items(
            session, PriceChangeId(change_id), verdict=verdict, state=state, after=start, limit=limit + 1
        )
    page = ITEMS.page(rows, limit, view=views.item, key=lambda row: (row.key.price_list_id, row.key.product_id))
    return Answer(page).response()


@router.get(
    "/items/{price_list_id}/{product_id}/explain",
    summary="Why is this price what it is?",
    operation_id="explain_price_change_item",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def explain(caller: ChangesRead, change_id: UUID, price_list_id: UUID, product_id: UUID) -> Response:
    """The explain trace (`explain-trace/1.1.0`): inputs, branch, steps, guardrails with their limits, verdict."""
    key = ItemKey(PriceListId(price_list_id), ProductId(product_id))
    with caller.session() as session:
        trace = explain_item(session, PriceChangeId(change_id), key)
    return Answer(trace).response()


@router.get(
    "/products/{product_id}/price-lists",
    summary="What does the plan mean on each price list?",
    operation_id="list_price_change_effects",
    responses={200: {"model": Page[views.ListEffectView]}},
)
def list_effects(caller: ChangesRead, change_id: UUID, product_id: UUID) -> Response:
    """What buyers pay for a product before and after: what is written, what follows, and what stays fixed."""
    with caller.session() as session:
        change = reads.get_change(session, PriceChangeId(change_id))
        effects = product_effects(session, change, ProductId(product_id))
    return Answer(Page([views.list_effect(each) for each in effects], None)).response()


@router.get(
    "/plan.txt",
    summary="The plan as text",
    operation_id="get_plan_text",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "One row a line."}},
)
def get_plan_text(caller: ChangesRead, change_id: UUID) -> Response:
    """The canonical rows in their order: the header, then the items. Their Merkle root (RFC 6962) is `plan_root`.

    The rows go to a file first, so that a slow reader does not hold a transaction open.
    """
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - `_blocks` closes it
    try:
        with caller.session() as session:
            for block in plan_lines(session, PriceChangeId(change_id)):
                file.write(block)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Length": str(file.tell())}
    file.seek(0)
    return StreamingResponse(_blocks(file), media_type="text/plain; charset=utf-8", headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _item_key(price_list_id: object, product_id: object) -> ItemKey:
    assert isinstance(price_list_id, UUID)  # noqa: S101 - the keyset says so
    assert isinstance(product_id, UUID)  # noqa: S101 - same
    return ItemKey(PriceListId(price_list_id), ProductId(product_id))
