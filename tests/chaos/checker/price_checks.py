"""What was written to the store, against what was planned, settled and told."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from evidence import Amounts, Change, Event, Item, StoreWrite

OPEN = {"pending", "claimed", "sending", "unknown", "retry_wait"}
OVER = {"applied", "partially_applied", "aborted", "failed"}
LOST, TWICE, UNTOLD, OVERWRITTEN, UNMARKED = (
    "lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten", "writes_unmarked",
)  # fmt: skip
Offences = dict[str, list[str]]
CLOCK_MS = 2
"""Times are compared after they were rounded."""
Key = tuple[str, str, str]
"""A change, a product and a price list."""


@dataclass
class Told:
    """What the events of one item say: changes, and how often a write may have happened under somebody's edit."""

    changed: list[tuple[str, Amounts, Amounts]] = field(default_factory=list)
    possible: int = 0


@dataclass
class Variant:
    """All that happened to one variant in the store: the writes of both sides, and which of them are accounted for."""

    external_id: str
    entries: list[StoreWrite]
    used: set[int] = field(default_factory=set)

    @property
    def ours(self) -> list[StoreWrite]:
        """What came over the API."""
        return [entry for entry in self.entries if entry.source == "api"]

    @property
    def theirs(self) -> list[StoreWrite]:
        """What somebody did by hand."""
        return [entry for entry in self.entries if entry.source != "api"]

    def take(self, item: Item) -> StoreWrite | None:
        """The first write of ours that an item accounts for, and that none before it did."""
        for entry in self.ours:
            if entry.seq not in self.used and entry.after(item.currency) == item.after:
                self.used.add(entry.seq)
                return entry
        return None

    def before(self, write: StoreWrite) -> StoreWrite | None:
        """What was written right before."""
        earlier = [entry for entry in self.entries if entry.seq < write.seq]
        return earlier[-1] if earlier else None


def check_prices(
    changes: list[Change], journal: list[StoreWrite], events: list[Event], lease_ms: int
) -> tuple[Offences, list[str]]:
    """Lost, repeated, untold writes, and edits of others that were overwritten; beside them, edits that were raced.

    Raced is an edit that came after the item was marked as sent, which is after its price was read: the store has no
    compare-and-set for prices, so that nobody could have seen it. That excuses no write that came later than a lease
    after that: by then the right to write was over.
    """
    offences: Offences = {name: [] for name in (LOST, TWICE, UNTOLD, OVERWRITTEN, UNMARKED)}
    raced: list[str] = []
    variants: dict[str, Variant] = {}
    for entry in journal:
        variants.setdefault(entry.external_id, Variant(entry.external_id, [])).entries.append(entry)
    told = _told(events)
    for change in changes:
        if change.state not in OVER:
            offences[LOST].append(f"change {change.id} is {change.state}")
        for external_id, item in change.items.items():
            variant = variants.setdefault(external_id, Variant(external_id, []))
            write = variant.take(item)
            base = None if item.follows is None else variants.get(item.follows)
            offences[LOST] += _lost(change, item, variant, write, base)
            offences[UNTOLD] += _untold(item, write, told.pop((change.id, item.product_id, item.price_list_id), Told()))
            if write is None:
                continue
            offences[UNMARKED] += _unmarked(item, write)
            edit = variant.before(write)
            if write.before(item.currency) != item.before and (edit is None or edit.source != "api"):
                unseen = edit is not None and _could_not_be_seen(item, write, edit, lease_ms)
                (raced if unseen else offences[OVERWRITTEN]).append(_overwritten(write, edit))
    for variant in variants.values():
        _check_rest(variant, offences)
    offences[UNTOLD] += [f"product {key[1]}: events of change {key[0]} tell of no item of its plan" for key in told]
    return offences, raced


def _lost(
    change: Change, item: Item, variant: Variant, write: StoreWrite | None, base: Variant | None
) -> Iterator[str]:
    """Items that are open, or said to be what the store knows nothing of. `base` is what the price may follow."""
    where = f"{item.external_id} in change {change.id}"
    if item.state in OPEN:
        yield f"{where}: left {item.state}"
    if item.state == "applied" and write is None:
        yield f"{where}: applied, and the store never had {item.after}"
    by_hand = any(entry.after(item.currency) == item.after for entry in variant.theirs)
    if item.state == "noop" and not by_hand and item.before != item.after:
        yield f"{where}: said to have been there already, and nobody had written {item.after}"
    # What follows the base price moves with an edit of that; what it then is, the store computes.
    moved = base is not None and bool(variant.theirs or base.theirs)
    if item.state == "drifted" and not moved and not _is_by_hand(item, variant):
        yield f"{where}: said to be edited, and nobody had edited it so"


def _is_by_hand(item: Item, variant: Variant) -> bool:
    """Whether somebody else wrote what was seen there."""
    if item.observed is None:
        return bool(variant.theirs)
    return any(entry.after(item.currency) == item.observed for entry in variant.theirs)


def _could_not_be_seen(item: Item, write: StoreWrite, edit: StoreWrite, lease_ms: int) -> bool:
    sent = item.sent_at_ms
    return sent is not None and edit.at_ms > sent and write.at_ms <= sent + lease_ms


def _unmarked(item: Item, write: StoreWrite) -> Iterator[str]:
    """A crash between a write and its mark would have it written twice."""
    if item.state == "applied" and item.sent_at_ms is not None and write.at_ms < item.sent_at_ms - CLOCK_MS:
        yield f"{item.external_id}: write {write.seq} came {item.sent_at_ms - write.at_ms} ms before it was marked"


def _untold(item: Item, write: StoreWrite | None, told: Told) -> Iterator[str]:
    """Writes without their event, events without their write, and events that tell something else."""
    changed, written = len(told.changed), int(write is not None)
    if changed > written:
        yield f"{item.external_id}: {changed} events tell of {written} writes"
    elif changed + told.possible < written:
        yield f"{item.external_id}: written, and no event tells of it"
    if item.state == "applied" and item.event_id not in [event_id for event_id, *_ in told.changed]:
        yield f"{item.external_id}: applied, and its event {item.event_id} is no change of it"
    for event_id, before, after in told.changed:
        if (before, after) != (item.before, item.after):
            yield f"{item.external_id}: event {event_id} tells of {before} to {after}"


def _check_rest(variant: Variant, offences: Offences) -> None:
    """Writes of ours that no item accounts for."""
    for write in variant.ours:
        if write.seq in variant.used:
            continue
        offences[TWICE].append(f"{variant.external_id}: write {write.seq} of {write.price}")
        offences[UNTOLD].append(f"{variant.external_id}: no item accounts for write {write.seq}")
        edit = variant.before(write)
        if edit is not None and edit.source != "api":
            offences[OVERWRITTEN].append(_overwritten(write, edit))


def _overwritten(write: StoreWrite, edit: StoreWrite | None) -> str:
    since = "" if edit is None else f", made {write.at_ms - edit.at_ms} ms before"
    return f"{write.external_id}: write {write.seq} over {write.price_before} {write.compare_at_before}{since}"


def _told(events: list[Event]) -> dict[Key, Told]:
    told: dict[Key, Told] = defaultdict(Told)
    for event in events:
        if event.type == "price.changed":
            payload = event.envelope["payload"]
            amounts = (_amounts(payload["before"]), _amounts(payload["after"]))
            told[_key(event)].changed.append((event.event_id, *amounts))
        elif event.type == "price_change.item_drifted" and event.envelope["payload"]["sent"]:
            told[_key(event)].possible += 1
    return told


def _key(event: Event) -> Key:
    payload = event.envelope["payload"]
    return payload["change_id"], event.aggregate_id, payload.get("price_list_id", "")


def _amounts(told: dict[str, int | None]) -> Amounts:
    return (None, None) if told.get("relative") else (told["unit_amount"], told["compare_at"])


def check_journal(journal: list[StoreWrite], shown: dict[str, tuple[str | None, str | None]]) -> list[str]:
    """The store's journal tells one story: each write begins where the one before it ended, the last one is shown."""
    found, last = [], dict[str, tuple[str | None, str | None]]()
    for entry in journal:
        known = last.get(entry.external_id)
        if known is not None and known != (entry.price_before, entry.compare_at_before):
            found.append(f"{entry.external_id}: write {entry.seq} begins at {entry.price_before}, not at {known[0]}")
        last[entry.external_id] = (entry.price, entry.compare_at)
    return found + [f"{number}: shows {shown.get(number)}" for number, now in last.items() if shown.get(number) != now]


def check_counts(change: Change) -> list[str]:
    """What a change says of its items is what they are."""
    if change.counts is None:
        return []
    found = Counter(item.state for item in change.items.values())
    told = Counter({state: number for state, number in change.counts.items() if number})
    return [] if found == told else [f"{change.id}: says {dict(told)}, its items are {dict(found)}"]
