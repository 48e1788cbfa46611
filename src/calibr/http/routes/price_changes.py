"""Price changes: written down, previewed, submitted, decided on, applied, rolled back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from calibr.changes import reads, service
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import PriceChange
from calibr.changes.transition import with_story
from calibr.core.ids import PriceChangeId
from calibr.db import Session
from calibr.http.answer import Answer
from calibr.http.body import JsonBody, NoBody, RequestModel, Text, WrittenBody
from calibr.http.caller import Caller, ChangesApply, ChangesApprove, ChangesRead, ChangesRollback, ChangesWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.precondition import Revision, etag
from calibr.http.routes.rule_bodies import (
    EditPriceChange,
    NewPriceChangeBody,
    NewReleaseBody,
    edited,
    new_change,
    new_release,
)
from calibr.http.views import price_changes as views

router = APIRouter(prefix="/v1/price-changes", tags=["price changes"])
CHANGES = Keyset("price-changes", (UUID,))
ONE = {"model": views.PriceChangeView}
Nothing = Annotated[NoBody, Depends(JsonBody(NoBody))]


class Approval(RequestModel):
    """Which plan is approved."""

    plan_root: str = Field(pattern="^[0-9a-f]{64}$", description="The root of the plan that you have seen.")


class Rejection(RequestModel):
    """Why the plan is refused."""

    reason: Text = Field(min_length=1, max_length=2000)


class Cancellation(RequestModel):
    """Why the change is given up."""

    reason: Text | None = Field(default=None, min_length=1, max_length=2000)


@router.post(
    "", summary="Write a price change down", operation_id="create_price_change", status_code=201, responses={201: ONE}
)
def create_price_change(
    caller: ChangesWrite, body: Annotated[NewPriceChangeBody, Depends(WrittenBody(NewPriceChangeBody))]
) -> Response:
    """A draft: nothing is computed or sent anywhere. Numbers in the documents keep the form they are written in."""

    def work(session: Session) -> Answer:
        return _answer(session, service.create(session, new_change(body)), status=201)

    return caller.command(work)


@router.post(
    "/release",
    summary="Plan to take fixed prices away",
    operation_id="release_price_lists",
    status_code=201,
    responses={201: ONE},
)
def release(caller: ChangesWrite, body: Annotated[NewReleaseBody, Depends(WrittenBody(NewReleaseBody))]) -> Response:
    """Makes a previewed price change after which price lists follow the base prices again.

    It is submitted, approved, applied and taken back like any other. What a price then is, the store computes.
    """

    def work(session: Session) -> Answer:
        return _answer(session, service.create_release(session, new_release(body)), status=201)

    return caller.command(work)


@router.get(
    "",
    summary="List price changes",
    operation_id="list_price_changes",
    responses={200: {"model": Page[views.PriceChangeBrief]}},
)
def list_price_changes(
    caller: ChangesRead,
    state: Annotated[ChangeState | None, Query()] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Newest first, without their rules and summaries."""
    start = PriceChangeId(CHANGES.first(after)) if after is not None else None
    with caller.session() as session:
        rows = reads.list_changes(session, state=state, after=start, limit=limit + 1)
    page = CHANGES.page(
        rows, limit, view=lambda row: views.brief(row, reads.progress_of(row)), key=lambda row: (row.id,)
    )
    return Answer(page).response()


@router.get("/{change_id}", summary="Get a price change", operation_id="get_price_change", responses={200: ONE})
def get_price_change(caller: ChangesRead, change_id: UUID) -> Response:
    """With its rules, its summary once there is a plan, and its progress once it is applied. `ETag` is its revision."""
    with caller.session() as session:
        return _answer(session, reads.get_change(session, PriceChangeId(change_id))).response()


@router.patch("/{change_id}", summary="Edit a price change", operation_id="edit_price_change", responses={200: ONE})
def edit_price_change(
    caller: ChangesWrite,
    change_id: UUID,
    revision: Revision,
    body: Annotated[EditPriceChange, Depends(WrittenBody(EditPriceChange))],
) -> Response:
    """Makes a new revision; plan and approval of the old one are void. `If-Match` carries the revision that you saw."""

    def work(session: Session, change: PriceChange) -> PriceChange:
        return service.edit(session, change.id, revision, edited(body))

    return _command(caller, change_id, work)


@router.post(
    "/{change_id}/preview",
    summary="Ask for a preview",
    operation_id="preview_price_change",
    status_code=202,
    responses={202: ONE},
)
def preview(caller: ChangesWrite, change_id: UUID, _body: Nothing) -> Response:
    """The worker computes the plan: the change is `previewing`, then `previewed`, or `draft` with an error."""
    return _command(caller, change_id, lambda session, change: service.request_preview(session, change.id), status=202)


@router.post(
    "/{change_id}/submit", summary="Submit for approval", operation_id="submit_price_change", responses={200: ONE}
)
def submit(caller: ChangesWrite, change_id: UUID, _body: Nothing) -> Response:
    """Puts the plan forward."""
    return _command(caller, change_id, lambda session, change: service.submit(session, change.id))


@router.post(
    "/{change_id}/approve", summary="Approve a plan", operation_id="approve_price_change", responses={200: ONE}
)
def approve(
    caller: ChangesApprove, change_id: UUID, body: Annotated[Approval, Depends(JsonBody(Approval))]
) -> Response:
    """Only by somebody who is not its author, and only with the root of the plan as it is now."""
    return _command(caller, change_id, lambda session, change: service.approve(session, change.id, body.plan_root))


@router.post("/{change_id}/reject", summary="Reject a plan", operation_id="reject_price_change", responses={200: ONE})
def reject(
    caller: ChangesApprove, change_id: UUID, body: Annotated[Rejection, Depends(JsonBody(Rejection))]
) -> Response:
    """For good; the reason is for its author."""
    return _command(caller, change_id, lambda session, change: service.reject(session, change.id, body.reason))


@router.post(
    "/{change_id}/cancel", summary="Give a change up", operation_id="cancel_price_change", responses={200: ONE}
)
def cancel(
    caller: ChangesWrite, change_id: UUID, body: Annotated[Cancellation, Depends(JsonBody(Cancellation))]
) -> Response:
    """Before anything of it is applied."""
    return _command(caller, change_id, lambda session, change: service.cancel(session, change.id, body.reason))


@router.post(
    "/{change_id}/apply",
    summary="Apply an approved plan",
    operation_id="apply_price_change",
    status_code=202,
    responses={202: ONE},
)
def apply(caller: ChangesApply, change_id: UUID, _body: Nothing) -> Response:
    """The worker writes to the store; what somebody else changed there is reported and left alone."""
    return _command(caller, change_id, lambda session, change: service.start_apply(session, change.id), status=202)


@router.post(
    "/{change_id}/pause",
    summary="Pause an apply run",
    operation_id="pause_price_change",
    status_code=202,
    responses={202: ONE},
)
def pause(caller: ChangesApply, change_id: UUID, _body: Nothing) -> Response:
    """Nothing more is sent; what is on its way is still settled."""
    return _command(caller, change_id, lambda session, change: service.pause(session, change.id), status=202)


@router.post(
    "/{change_id}/resume",
    summary="Go on after a pause",
    operation_id="resume_price_change",
    status_code=202,
    responses={202: ONE},
)
def resume(caller: ChangesApply, change_id: UUID, _body: Nothing) -> Response:
    """From where it stopped."""
    return _command(caller, change_id, lambda session, change: service.resume(session, change.id), status=202)


@router.post(
    "/{change_id}/abort",
    summary="Abort an apply run",
    operation_id="abort_price_change",
    status_code=202,
    responses={202: ONE},
)
def abort(caller: ChangesApply, change_id: UUID, _body: Nothing) -> Response:
    """What is not yet written is given up; what is written stays, and can be rolled back."""
    return _command(caller, change_id, lambda session, change: service.abort(session, change.id), status=202)


@router.post(
    "/{change_id}/rollback",
    summary="Take a change back",
    operation_id="rollback_price_change",
    status_code=201,
    responses={201: ONE},
)
def rollback(caller: ChangesRollback, change_id: UUID, _body: Nothing) -> Response:
    """Makes a new price change that restores what this one wrote. It is submitted and approved like any other."""
    return _command(caller, change_id, lambda session, change: service.create_rollback(session, change.id), status=201)


@router.post(
    "/{change_id}/retry",
    summary="Try again what was not written",
    operation_id="retry_price_change",
    status_code=201,
    responses={201: ONE},
)
def retry(caller: ChangesWrite, change_id: UUID, _body: Nothing) -> Response:
    """Makes a new price change of the items that the store refused or that were given up, with the same prices.

    It is submitted and approved like any other. What somebody else changed in the meantime is left to a new preview.
    """
    return _command(caller, change_id, lambda session, change: service.create_retry(session, change.id), status=201)


def _command(
    caller: Caller, change_id: UUID, work: Callable[[Session, PriceChange], PriceChange], *, status: int = 200
) -> Response:
    """Run a command as part of the story of the change: one correlation id from the draft to the end."""
    with caller.session() as session:
        context = with_story(caller.context, reads.get_change(session, PriceChangeId(change_id)))

    def run(session: Session) -> Answer:
        return _answer(session, work(session, reads.get_change(session, PriceChangeId(change_id))), status=status)

    return replace(caller, context=context).command(run)


def _answer(session: Session, change: PriceChange, *, status: int = 200) -> Answer:
    view = views.full(change, reads.progress_of(change), reads.list_rollbacks(session, change.id))
    location = {"Location": f"/v1/price-changes/{change.id}"} if status in {201, 202} else {}
    return Answer(view, status, {**etag(change.revision), **location})
