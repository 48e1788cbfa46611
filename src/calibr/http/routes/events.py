"""The event log, as a list and as a stream."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from calibr.core.errors import Fault, Invalid
from calibr.events import EventFilter, head_seq, list_events, seq_before
from calibr.http.answer import Answer
from calibr.http.caller import AuditRead, bearer_of
from calibr.http.event_stream import Listener, Streams, as_document
from calibr.http.pagination import DEFAULT_LIMIT, After, Filter, Keyset, Limit, Page

router = APIRouter(prefix="/v1/events", tags=["events"])
EVENTS = Keyset("events", (int,))
MAX_SEQ_DIGITS: Final = 18

Type = Annotated[
    str | None, Query(max_length=200, pattern=r"^[a-z0-9_.]+(\.\*)?$", description="A type, or a prefix as `price.*`.")
]
Since = Annotated[datetime | None, Query(description="Events from this time on (RFC 3339).")]
Until = Annotated[datetime | None, Query(description="Events before this time (RFC 3339).")]


@dataclass(frozen=True, slots=True)
class EventView:
    """An event: the envelope as it stands in the log, and its number there."""

    seq: int
    event_id: UUID
    tenant_id: UUID
    type: str
    schema_version: str
    aggregate_type: str
    aggregate_id: str
    actor: str
    correlation_id: UUID
    causation_id: UUID | None
    at: datetime
    payload: dict[str, Any]


def event_filter(
    type: Type = None,  # noqa: A002 - the name of the parameter
    aggregate_type: Filter = None,
    aggregate_id: Filter = None,
    since: Since = None,
    until: Until = None,
) -> EventFilter:
    """Which events a request is about."""
    return EventFilter(type, aggregate_type, aggregate_id, _aware("since", since), _aware("until", until))


Wanted = Annotated[EventFilter, Depends(event_filter)]


@router.get("", summary="List events", operation_id="list_events", responses={200: {"model": Page[EventView]}})
def get_events(caller: AuditRead, wanted: Wanted, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """In the order in which they were committed. With filters a page may be short, or empty, and yet have a `next`."""
    with caller.session() as session:
        if after is not None:
            start = EVENTS.first_number(after)
        else:
            start = seq_before(session, wanted.since) if wanted.since is not None else 0
        page = list_events(session, wanted, after=start, limit=limit)
    following = EVENTS.encode((page.looked_to,)) if page.looked_to < page.head else None
    return Answer(Page([as_document(event) for event in page.events], following)).response()


@dataclass(frozen=True, slots=True)
class Head:
    """The number of the last event; 0 while there is none."""

    seq: int


@router.get("/head", summary="Where the log ends", operation_id="get_events_head", responses={200: {"model": Head}})
def get_head(caller: AuditRead) -> Response:
    """The number of the last event: what comes after it is new."""
    with caller.session() as session:
        return Answer(Head(head_seq(session))).response()


@router.get(
    "/stream",
    summary="Follow events",
    operation_id="stream_events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Blocks of SSE."}
    },
)
def stream_events(
    request: Request,
    caller: AuditRead,
    wanted: Wanted,
    after: Annotated[int | None, Query(ge=0, description="A number of the log; left out: from now on.")] = None,
    follow: Annotated[bool, Query(description="Wait for what comes; false ends with the log.")] = True,  # noqa: FBT002
    last_event_id: Annotated[str | None, Header(description="As `after`; sent by clients that reconnect.")] = None,
) -> Response:
    """Server-Sent Events: `id` is the number in the log, `event` the type, `data` the envelope."""
    streams: Streams = request.app.state.streams
    streams.require_room()
    start = _start(last_event_id) if last_event_id else after
    if start is None:
        with caller.session() as session:
            start = head_seq(session) if wanted.since is None else seq_before(session, wanted.since)
    listener = Listener(caller.services, caller.context, bearer_of(request), wanted, start, follow)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(streams.follow(request, listener), media_type="text/event-stream", headers=headers)


def _start(text: str) -> int:
    if text.isdecimal() and len(text) <= MAX_SEQ_DIGITS:
        return int(text)
    fault = Fault("header.Last-Event-ID", ascii(text[:80]), "must be the id of an event of this stream")
    raise Invalid("request.header", f"{fault.path} {fault.rule}.", faults=(fault,))


def _aware(name: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        fault = Fault(f"query.{name}", moment.isoformat(), "needs a time zone, such as Z")
        raise Invalid("request.parameters", f"{fault.path}={fault.value} {fault.rule}.", faults=(fault,))
    return moment
