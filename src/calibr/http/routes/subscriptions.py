"""Who gets events: webhooks and streams, how far they are, and what could not be delivered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from calibr import delivery
from calibr.core.errors import Fault, Invalid
from calibr.db import Session
from calibr.delivery import DeadLetter, NewSubscription, OnPoison
from calibr.events import seq_before
from calibr.http.answer import Answer, accepted, created
from calibr.http.body import JsonBody, NoBody, RequestModel, Text
from calibr.http.caller import AuditRead, SubscriptionsWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.views import subscriptions as views

router = APIRouter(prefix="/v1/subscriptions", tags=["events"])
SUBSCRIPTIONS = Keyset("subscriptions", (UUID,))
DEAD_LETTERS = Keyset("dead_letters", (int,))
Nothing = Annotated[NoBody, Depends(JsonBody(NoBody))]
MAX_TYPES = 100


class SubscriptionRequest(RequestModel):
    """A subscriber. What `config` holds depends on the kind: a webhook has a `url`."""

    kind: Text = Field(min_length=1, max_length=32, examples=["webhook"])
    name: Text = Field(min_length=1, max_length=200)
    config: dict[str, Any] = Field(default_factory=dict, examples=[{"url": "https://example.com/hooks/prices"}])
    event_types: list[Text] = Field(
        default_factory=list, max_length=MAX_TYPES, description="Types or prefixes such as `price.*`; empty means all."
    )
    lanes: int = Field(default=8, description="Deliveries at a time: 1, 2, 4, 8, 16, 32 or 64.")
    on_poison: OnPoison = Field(
        default=OnPoison.PARK_KEY,
        strict=False,
        description="What an event that cannot be delivered does: `park_key` parks it with all later ones of its "
        "aggregate, `block_lane` holds up its lane until it arrives.",
    )
    from_seq: int | None = Field(default=None, ge=0, description="Deliver events after this number; null: from now on.")


class SubscriptionEdit(RequestModel):
    """What to change; what is left out stays."""

    config: dict[str, Any] | None = None
    event_types: list[Text] | None = Field(default=None, max_length=MAX_TYPES)


class ReplayRequest(RequestModel):
    """From where. One of the two."""

    from_seq: int | None = Field(default=None, ge=0, description="Deliver everything after this number again.")
    since: datetime | None = Field(
        default=None, strict=False, description="Deliver everything from this time on again."
    )


class RedeliveryRequest(RequestModel):
    """Which dead letters: those of one aggregate, or all."""

    aggregate_type: Text | None = Field(default=None, max_length=200)
    aggregate_id: Text | None = Field(default=None, max_length=200)


@router.post(
    "",
    summary="Subscribe to events",
    operation_id="create_subscription",
    status_code=201,
    responses={201: {"model": views.CreatedSubscription}},
)
def create(
    caller: SubscriptionsWrite, body: Annotated[SubscriptionRequest, Depends(JsonBody(SubscriptionRequest))]
) -> Response:
    """Events of one aggregate arrive in order, each at least once; `webhook-id` tells repeats apart.

    The secret that signs them (Standard Webhooks) is in this answer and nowhere else.
    """
    services = caller.services
    wanted = NewSubscription(**body.model_dump())

    def work(session: Session) -> Answer:
        made = delivery.create_subscription(
            session, wanted, kinds=services.subscribers.rules, vault=services.subscribers.vault
        )
        return created(
            views.created(made, with_secret=True),
            f"/v1/subscriptions/{made.subscription.id}",
            remembered=views.created(made, with_secret=False),
        )

    return caller.command(work)


@router.get(
    "",
    summary="List subscriptions",
    operation_id="list_subscriptions",
    responses={200: {"model": Page[views.SubscriptionView]}},
)
def list_all(caller: AuditRead, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Oldest first, those that are part of Calibr too."""
    start = SUBSCRIPTIONS.first(after) if after is not None else None
    with caller.session() as session:
        rows = delivery.list_subscriptions(session, after=start, limit=limit + 1)
    return Answer(SUBSCRIPTIONS.page(rows, limit, view=views.subscription, key=lambda row: (row.id,))).response()


@router.get(
    "/{subscription_id}",
    summary="Get a subscription",
    operation_id="get_subscription",
    responses={200: {"model": views.SubscriptionDetail}},
)
def get(caller: AuditRead, subscription_id: UUID) -> Response:
    """With how far it is and what it waits for."""
    with caller.session() as session:
        found = delivery.get_subscription(session, subscription_id)
        stands = delivery.standing(session, subscription_id)
    return Answer(views.SubscriptionDetail(views.subscription(found), stands)).response()


@router.post(
    "/{subscription_id}/edit",
    summary="Change a subscription",
    operation_id="edit_subscription",
    responses={200: {"model": views.SubscriptionView}},
)
def edit(
    caller: SubscriptionsWrite,
    subscription_id: UUID,
    body: Annotated[SubscriptionEdit, Depends(JsonBody(SubscriptionEdit))],
) -> Response:
    """What it gets and where, from the next delivery on."""
    kinds = caller.services.subscribers.rules

    def work(session: Session) -> Answer:
        made = delivery.update_subscription(
            session, subscription_id, kinds=kinds, event_types=body.event_types, config=body.config
        )
        return Answer(views.subscription(made))

    return caller.command(work)


@router.post(
    "/{subscription_id}/pause",
    summary="Pause a subscription",
    operation_id="pause_subscription",
    responses={200: {"model": views.SubscriptionView}},
)
def pause(caller: SubscriptionsWrite, subscription_id: UUID, _body: Nothing) -> Response:
    """Nothing is delivered until it is resumed; nothing is lost."""
    return caller.command(lambda session: Answer(views.subscription(delivery.pause(session, subscription_id))))


@router.post(
    "/{subscription_id}/resume",
    summary="Resume a subscription",
    operation_id="resume_subscription",
    responses={200: {"model": views.SubscriptionView}},
)
def resume(caller: SubscriptionsWrite, subscription_id: UUID, _body: Nothing) -> Response:
    """Also one that Calibr disabled, since nothing had arrived for five days."""
    return caller.command(lambda session: Answer(views.subscription(delivery.resume(session, subscription_id))))


@router.post(
    "/{subscription_id}/replay",
    summary="Deliver events again",
    operation_id="replay_subscription",
    status_code=202,
    responses={202: {"model": views.SubscriptionView}},
)
def replay(
    caller: SubscriptionsWrite,
    subscription_id: UUID,
    body: Annotated[ReplayRequest, Depends(JsonBody(ReplayRequest))],
) -> Response:
    """From a number of the log or a time on, marked with `calibr-replay: true`. A projection is rebuilt as a whole."""
    if (body.from_seq is None) == (body.since is None):
        fault = Fault("$.from_seq", None, "must be given, or since instead of it")
        raise Invalid("request.invalid", f"from_seq {fault.rule}", faults=(fault,))
    projections = caller.services.subscribers.projections

    def work(session: Session) -> Answer:
        start = body.from_seq if body.since is None else seq_before(session, body.since)
        made = delivery.replay(session, subscription_id, start or 0, projections=projections)
        return accepted(views.subscription(made), f"/v1/subscriptions/{subscription_id}")

    return caller.command(work)


@router.post(
    "/{subscription_id}/rotate-secret",
    summary="Make a new secret",
    operation_id="rotate_subscription_secret",
    responses={200: {"model": views.CreatedSubscription}},
)
def rotate_secret(caller: SubscriptionsWrite, subscription_id: UUID, _body: Nothing) -> Response:
    """The new one is in this answer and nowhere else. For 24 hours both sign."""
    subscribers = caller.services.subscribers

    def work(session: Session) -> Answer:
        made = delivery.rotate_secret(session, subscription_id, kinds=subscribers.rules, vault=subscribers.vault)
        return Answer(views.created(made, with_secret=True), remembered=views.created(made, with_secret=False))

    return caller.command(work)


@router.delete(
    "/{subscription_id}", summary="Delete a subscription", operation_id="delete_subscription", status_code=204
)
def delete(caller: SubscriptionsWrite, subscription_id: UUID) -> Response:
    """With its dead letters. The events stay in the log."""
    with caller.session() as session:
        delivery.delete_subscription(session, subscription_id)
    return Response(status_code=204)


@router.get(
    "/{subscription_id}/dead-letters",
    summary="List what could not be delivered",
    operation_id="list_dead_letters",
    responses={200: {"model": Page[DeadLetter]}},
)
def dead_letters(
    caller: AuditRead,
    subscription_id: UUID,
    resolved: Annotated[bool, Query(description="Also those that were delivered later.")] = False,  # noqa: FBT002
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """In the order of the log. While an aggregate has one, its later events join it."""
    start = DEAD_LETTERS.first_number(after) if after is not None else 0
    with caller.session() as session:
        delivery.get_subscription(session, subscription_id)
        rows = delivery.list_dead_letters(session, subscription_id, after=start, limit=limit + 1, resolved=resolved)
    return Answer(DEAD_LETTERS.page(rows, limit, view=lambda row: row, key=lambda row: (row.seq,))).response()


@router.post(
    "/{subscription_id}/redeliver",
    summary="Deliver dead letters again",
    operation_id="redeliver_dead_letters",
    status_code=202,
    responses={202: {"model": views.Redelivery}},
)
def redeliver(
    caller: SubscriptionsWrite,
    subscription_id: UUID,
    body: Annotated[RedeliveryRequest, Depends(JsonBody(RedeliveryRequest))],
) -> Response:
    """In their order; an aggregate goes on once all of its dead letters have arrived."""
    if (body.aggregate_type is None) != (body.aggregate_id is None):
        fault = Fault("$.aggregate_id", None, "goes with aggregate_type: give both, or neither for all")
        raise Invalid("request.invalid", f"aggregate_id {fault.rule}", faults=(fault,))

    def work(session: Session) -> Answer:
        key = (body.aggregate_type, body.aggregate_id) if body.aggregate_type and body.aggregate_id else None
        count = delivery.redeliver(session, subscription_id, key)
        return accepted(views.Redelivery(count), f"/v1/subscriptions/{subscription_id}")

    return caller.command(work)
