"""What was written to the store, against what was planned, settled and told."""

from collections import defaultdict

from evidence import Change, Event, Item, StoreWrite, minor_units

OPEN = {"pending", "claimed", "sending", "unknown", "retry_wait"}
Offences = dict[str, list[str]]


def check_prices(changes: list[Change], journal: list[StoreWrite], events: list[Event]) -> Offences:
    """Lost, repeated, untold writes, and edits of others that were overwritten."""
    ours: dict[str, list[StoreWrite]] = defaultdict(list)
    for write in journal:
        if write.source == "api":
            ours[write.external_id].append(write)
    offences: Offences = {
        name: [] for name in ("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten")
    }
    rows: dict[str, list[Item]] = defaultdict(list)
    for change in changes:
        for external_id, item in change.items.items():
            rows[external_id].append(item)
            if item.state in OPEN:
                offences["lost_items"].append(f"{external_id}: {item.state} in change {change.id}")
    told = _told(events)
    for external_id in rows.keys() | ours.keys():
        _check_variant(external_id, rows[external_id], ours[external_id], told, offences)
    return offences


def _check_variant(
    external_id: str, items: list[Item], writes: list[StoreWrite], told: "_Told", offences: Offences
) -> None:
    left = list(writes)
    product = items[0].product_id if items else ""
    for item in items:
        matching = [w for w in left if _after(w, item.currency) == item.after]
        if item.state == "applied" and not matching:
            offences["lost_items"].append(f"{external_id}: applied, and the store never had {item.after}")
        if matching:
            first = matching[0]
            left.remove(first)
            if _before(first, item.currency) != item.before:
                offences["external_edits_overwritten"].append(
                    f"{external_id}: {_before(first, item.currency)} stood there, planned was {item.before}"
                )
    offences["duplicate_writes"] += [f"{external_id}: write {w.seq} of {w.price}" for w in left]
    changed, possible = len(told.changed[product]), told.possible[product]
    if not len(writes) - possible <= changed <= len(writes):
        offences["unaudited_changes"].append(f"{external_id}: {len(writes)} writes, {changed} events tell of one")
    unfit = [pair for pair in told.changed[product] if pair not in [(i.before, i.after) for i in items]]
    offences["unaudited_changes"] += [f"{external_id}: an event tells of {pair}" for pair in unfit]


class _Told:
    """What events say of products: changes, and writes that may have happened before somebody else's edit."""

    def __init__(self) -> None:
        self.changed: dict[str, list[tuple[tuple[int | None, int | None], tuple[int | None, int | None]]]] = (
            defaultdict(list)
        )
        self.possible: dict[str, int] = defaultdict(int)


def _told(events: list[Event]) -> _Told:
    told = _Told()
    for event in events:
        if event.type == "price.changed":
            payload = event.envelope["payload"]
            before, after = payload["before"], payload["after"]
            told.changed[event.aggregate_id].append(
                ((before["unit_amount"], before["compare_at"]), (after["unit_amount"], after["compare_at"]))
            )
        if event.type == "price_change.item_drifted" and event.envelope["payload"]["sent"]:
            told.possible[event.aggregate_id] += 1
    return told


def _after(write: StoreWrite, currency: str) -> tuple[int | None, int | None]:
    return minor_units(write.price, currency), minor_units(write.compare_at, currency)


def _before(write: StoreWrite, currency: str) -> tuple[int | None, int | None]:
    return minor_units(write.price_before, currency), minor_units(write.compare_at_before, currency)
