"""The event log by itself, what a subscriber got of it, and what the projection made of it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from evidence import Activity, Delivery, Event

Offences = dict[str, list[str]]
ENVELOPE = ("type", "aggregate_type", "aggregate_id")


def check_log(events: list[Event], head: int) -> Offences:
    """Numbers without gaps up to the counter, leaves that are the hashes of their bytes, columns that repeat them."""
    seqs = [event.seq for event in events]
    missing = sorted(set(range(1, head + 1)) - set(seqs))
    beyond = [seq for seq in seqs if seq > head]
    repeated = [seq for seq, count in Counter(seqs).items() if count > 1]
    return {
        "gaps": [f"event {seq} is missing" for seq in missing]
        + [f"event {seq} is beyond the counter {head}" for seq in beyond]
        + [f"event {seq} comes twice" for seq in repeated],
        "leaves_wrong": [f"event {event.seq}" for event in events if leaf_of(event.body) != event.leaf],
        "envelopes_wrong": [f"event {event.seq}" for event in events if not _is_told_by_its_body(event)],
    }


def leaf_of(body: bytes) -> bytes:
    """The hash of a leaf, as RFC 6962 has it."""
    return hashlib.sha256(b"\0" + body).digest()


def _is_told_by_its_body(event: Event) -> bool:
    document = event.envelope
    columns = {name: getattr(event, name) for name in ENVELOPE} | event.columns | {"event_id": event.event_id}
    return all(document.get(name) == value for name, value in columns.items())


def check_deliveries(events: list[Event], deliveries: list[Delivery]) -> Offences:
    """Each event has one effect, and the effects of one aggregate come in the order of the log."""
    effects = [delivery for delivery in deliveries if delivery.had_effect]
    times = Counter(effect.event_id for effect in effects)
    order: dict[str, list[int]] = defaultdict(list)
    for effect in effects:
        order[effect.key].append(effect.seq)
    return {
        "events_lost": [f"event {event.seq} ({event.type})" for event in events if event.event_id not in times],
        "effects_twice": [f"event {event_id}: {count} effects" for event_id, count in times.items() if count > 1],
        "reorders": [
            f"{key}: {later} came after {earlier}"
            for key, seqs in order.items()
            for earlier, later in pairwise(seqs)
            if later < earlier
        ],
        "deliveries_wrong": list(_wrong(events, deliveries)),
    }


def _wrong(events: list[Event], deliveries: list[Delivery]) -> Iterator[str]:
    """Arrivals that nobody signed, of events that are not in the log, or with other bytes than stand there."""
    leaves = {event.event_id: event.leaf.hex() for event in events}
    for delivery in deliveries:
        if not delivery.is_signed:
            yield f"event {delivery.event_id}: the signature is not good"
        if delivery.event_id not in leaves:
            yield f"event {delivery.event_id}: is not in the log, or was not to be sent"
        elif delivery.leaf is not None and delivery.leaf != leaves[delivery.event_id]:
            yield f"event {delivery.event_id}: other bytes arrived than stand in the log"


def check_activity(events: Iterable[Event], activity: Activity) -> Offences:
    """The projection counted every event once: its inbox, its counts and its position move in one transaction."""
    wanted = Counter((str(event.envelope["at"])[:10], event.type) for event in events)
    missing, extra = wanted - activity.counted, activity.counted - wanted
    return {
        "events_lost": [f"{day} {kind}: {n} not counted by the projection" for (day, kind), n in missing.items()],
        "effects_twice": [
            f"{day} {kind}: {n} more in the projection than in the log" for (day, kind), n in extra.items()
        ],
    }
