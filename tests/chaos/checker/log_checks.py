"""The event log by itself, and what a subscriber got of it."""

import hashlib
from collections import Counter, defaultdict
from itertools import pairwise

from evidence import Delivery, Event

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
        "leaves_wrong": [
            f"event {event.seq}" for event in events if hashlib.sha256(b"\0" + event.body).digest() != event.leaf
        ],
        "envelopes_wrong": [f"event {event.seq}" for event in events if not _is_told_by_its_body(event)],
    }


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
    }
