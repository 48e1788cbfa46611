"""Good evidence of a small run, for the tests of the checker to spoil."""

import hashlib
import json
from collections import Counter
from dataclasses import replace

import check
from check import Findings, judge
from evidence import Activity, Change, Delivery, Event, Item, StoreWrite
from plan_root import root_of

N = 6
BEFORE, AFTER = (1000, None), (900, None)
DAY = "2026-11-24"


def event(seq: int, kind: str, aggregate: str, payload: dict[str, object]) -> Event:
    document = {"event_id": f"e{seq}", "type": kind, "aggregate_type": "product", "aggregate_id": aggregate,
                "actor": "system:worker", "at": f"{DAY}T10:00:00.000000Z", "payload": payload}  # fmt: skip
    body = json.dumps(document).encode()
    leaf = hashlib.sha256(b"\0" + body).digest()
    return Event(seq, f"e{seq}", kind, "product", aggregate, body, leaf, {"actor": "system:worker"})


def told(seq: int, number: int, before: object = BEFORE, after: object = AFTER, change: str = "c") -> Event:
    names = ("unit_amount", "compare_at")
    amounts = [dict(zip(names, pair, strict=True)) for pair in (before, after)]  # type: ignore[call-overload]
    return event(seq, "price.changed", f"p{number}", {"change_id": change, "before": amounts[0], "after": amounts[1]})


def drifted(seq: int, number: int, *, sent: bool) -> Event:
    return event(seq, "price_change.item_drifted", f"p{number}", {"change_id": "c", "sent": sent})


class Case:
    """A plan of six items, all applied and told but the last one, which somebody edited. All of it was delivered."""

    def __init__(self) -> None:
        states = dict.fromkeys(range(1, N), "applied") | {N: "drifted"}
        items = {
            str(n): Item(str(n), f"p{n}", "USD", BEFORE, AFTER, state, f"e{n}", 5_000, f"p{n}|list|USD|1000||900|")
            for n, state in states.items()
        }
        self.change = Change("c", "partially_applied", None, None, items, "header", {"applied": N - 1, "drifted": 1})
        root = root_of(self.change.text)
        self.change = replace(self.change, plan_root=root, approved_root=root)
        self.later: list[Change] = []
        self.journal = [StoreWrite(1, "hand", str(N), "10.00", None, "1.23", None, 1_000)]
        self.journal += [StoreWrite(1 + n, "api", str(n), "10.00", None, "9.00", None, 6_000) for n in range(1, N)]
        self.events = [*(told(n, n) for n in range(1, N)), drifted(N, N, sent=False)]
        self.deliveries = [
            Delivery(e.event_id, e.seq, e.aggregate_id, had_effect=True, leaf=e.leaf.hex()) for e in self.events
        ]
        self.activity = Activity(Counter((DAY, e.type) for e in self.events))
        self.shown: dict[str, tuple[str | None, str | None]] = {str(n): ("9.00", None) for n in range(1, N)}
        self.shown[str(N)] = ("1.23", None)
        self.head = N
        self.starts_after = 0

    def judged(self) -> Findings:
        return judge(
            check.Evidence(
                [self.change, *self.later], self.journal, self.events, self.head, self.deliveries, self.starts_after,
                self.activity, self.shown,
            )
        )  # fmt: skip

    def broken(self) -> set[str]:
        return {name for name, offences in self.judged().found.items() if offences}

    def item(self, number: int, **changed: object) -> None:
        """Let an item say something else."""
        self.change.items[str(number)] = replace(self.change.items[str(number)], **changed)  # type: ignore[arg-type]
        self.change = replace(self.change, counts=dict(Counter(item.state for item in self.change.items.values())))

    def append(self, *more: Event) -> None:
        """Events that were appended, delivered and counted as they should be."""
        for each in more:
            self.events.append(each)
            self.deliveries.append(Delivery(each.event_id, each.seq, each.aggregate_id, had_effect=True))
            self.activity.counted[DAY, each.type] += 1
            self.head = max(self.head, each.seq)

    def exchange(self, place: int, other: Event) -> None:
        """Another event in the place of one, delivered and counted as it should be."""
        self.activity.counted[DAY, self.events[place].type] -= 1
        self.activity.counted[DAY, other.type] += 1
        self.events[place] = other
        self.deliveries[place] = Delivery(other.event_id, other.seq, other.aggregate_id, had_effect=True)

    def write(self, entry: StoreWrite) -> None:
        """One more accepted write of the store."""
        self.journal.append(entry)
        self.shown[entry.external_id] = (entry.price, entry.compare_at)
