"""Drift: what stores ask that Calibr did not put in force, and what people decide about it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from calibr import drift
from calibr.changes import reads
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.drift import DriftFilter, DriftState
from calibr.http.answer import Answer
from calibr.http.body import JsonBody, NoBody, RequestModel, Text
from calibr.http.caller import ChangesRead, ChangesWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.precondition import etag
from calibr.http.views import drift as views
from calibr.http.views import price_changes as change_views

router = APIRouter(prefix="/v1/drift", tags=["drift"])
DRIFT = Keyset("drift", (UUID,))
MAX_REASSERTED = 10_000
Nothing = Annotated[NoBody, Depends(JsonBody(NoBody))]


class Reassertion(RequestModel):
    """Which prices to put back."""

    drift_ids: list[Annotated[UUID, Field(strict=False)]] = Field(min_length=1, max_length=MAX_REASSERTED)
    name: Text | None = Field(default=None, min_length=1, max_length=200, description="Of the price change.")


@router.get("", summary="List drift", operation_id="list_drift", responses={200: {"model": Page[views.DriftView]}})
def list_drift(
    caller: ChangesRead,
    state: Annotated[DriftState | None, Query(description="`open` unless said otherwise.")] = DriftState.OPEN,
    connection_id: UUID | None = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Oldest first. What is not open has been decided about, or is gone."""
    start = DRIFT.first(after) if after is not None else None
    which = DriftFilter(state, None if connection_id is None else ConnectionId(connection_id))
    with caller.session() as session:
        rows = drift.list_drifts(session, which, after=start, limit=limit + 1)
    return Answer(DRIFT.page(rows, limit, view=views.drift, key=lambda row: (row.id,))).response()


@router.get(
    "/{drift_id}", summary="Get one drift", operation_id="get_drift", responses={200: {"model": views.DriftView}}
)
def get_drift(caller: ChangesRead, drift_id: UUID) -> Response:
    """What was expected, what was seen, and what became of it."""
    with caller.session() as session:
        return Answer(views.drift(drift.get_drift(session, drift_id))).response()


@router.post(
    "/{drift_id}/adopt",
    summary="Take the store's price as ours",
    operation_id="adopt_drift",
    responses={200: {"model": views.DriftView}},
)
def adopt_drift(caller: ChangesWrite, drift_id: UUID, _body: Nothing) -> Response:
    """Nothing is written to the store: from now on its price is the expected one."""

    def work(session: Session) -> Answer:
        return Answer(views.drift(drift.adopt(session, drift_id)))

    return caller.command(work)


@router.post(
    "/reassert",
    summary="Plan to put prices back",
    operation_id="reassert_drift",
    status_code=201,
    responses={201: {"model": change_views.PriceChangeView}},
)
def reassert_drift(caller: ChangesWrite, body: Annotated[Reassertion, Depends(JsonBody(Reassertion))]) -> Response:
    """Makes a previewed price change of the chosen rows, which takes the normal way: submit, approve, apply."""

    def work(session: Session) -> Answer:
        change = drift.reassert(session, list(dict.fromkeys(body.drift_ids)), body.name)
        view = change_views.full(change, reads.progress_of(change), [])
        headers = {"Location": f"/v1/price-changes/{change.id}", **etag(change.revision)}
        return Answer(view, 201, headers)

    return caller.command(work)
