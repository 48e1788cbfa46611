"""Reads the evidence into plain values: from the database, the store's file, and what the subscriber wrote down."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS = {code: decimals for decimals, codes in CODES.items() for code in codes.split()}
"""Decimals of currencies that have not two."""
Amounts = tuple[int | None, int | None]
"""Price and compare-at price in minor units."""


@dataclass(frozen=True)
class Item:
    """One row of a plan, with the number that the store knows it by. Times are milliseconds since 1970.

    On a price list beside the base prices that number has the list's before it, a price that follows the base price has
    no amounts, and `follows` is the place of the base price.
    """

    external_id: str
    product_id: str
    currency: str
    before: Amounts
    after: Amounts
    state: str
    event_id: str | None = None
    sent_at_ms: int | None = None
    row: str = ""
    observed: Amounts | None = None
    price_list_id: str = ""
    follows: str | None = None


@dataclass(frozen=True)
class Change:
    """A price change with all rows of its plan, in their order. `counts` is what it says of its items."""

    id: str
    state: str
    plan_root: str | None
    approved_root: str | None
    items: dict[str, Item] = field(default_factory=dict)
    header: str = ""
    counts: dict[str, int] | None = None

    @property
    def text(self) -> bytes:
        """The plan as text, put together from the stored rows."""
        return "".join(f"{row}\n" for row in (self.header, *(item.row for item in self.items.values()))).encode()


@dataclass(frozen=True)
class StoreWrite:
    """One accepted write of a variant, or of a fixed price of it on a price list, as the store wrote it down.

    No price: none is fixed there.
    """

    seq: int
    source: str
    external_id: str
    price_before: str | None
    compare_at_before: str | None
    price: str | None
    compare_at: str | None
    at_ms: int = 0

    def before(self, currency: str) -> Amounts:
        """What stood there."""
        return minor_units(self.price_before, currency), minor_units(self.compare_at_before, currency)

    def after(self, currency: str) -> Amounts:
        """What it wrote."""
        return minor_units(self.price, currency), minor_units(self.compare_at, currency)


@dataclass(frozen=True)
class Event:
    """One row of the event log. `columns` are those that its bytes repeat."""

    seq: int
    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    body: bytes
    leaf: bytes
    columns: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def envelope(self) -> dict[str, Any]:
        """The document that the stored bytes are."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True)
class Delivery:
    """One arrival at the subscriber. `had_effect`: its inbox had not seen the message before.

    `is_signed`: the signature was good; `leaf`: the hash of the bytes that arrived.
    """

    event_id: str
    seq: int
    key: str
    had_effect: bool
    is_signed: bool = True
    leaf: str | None = None


@dataclass(frozen=True)
class Activity:
    """What the projection in the database counted: events by day and type."""

    counted: "Counter[tuple[str, str]]"


def minor_units(text: str | None, currency: str) -> int | None:
    """Minor units of an amount as the store writes it."""
    return None if text is None else int(Decimal(text).scaleb(EXPONENTS.get(currency, 2)))


def read_changes(connection: "psycopg.Connection[Any]", tenant: str, ids: list[str]) -> list[Change]:
    """The changes in the order of `ids`."""
    return [_change(connection, tenant, change_id) for change_id in ids]


def _change(connection: "psycopg.Connection[Any]", tenant: str, change_id: str) -> Change:
    row = connection.execute(
        "select state, plan_root, approved_root, counts, revision, rule_hash, engine, computed_at, summary"
        " from calibr.price_change where tenant_id = %s and id = %s",
        [tenant, change_id],
    ).fetchone()
    if row is None:
        raise SystemExit(f"there is no price change {change_id}")
    items = connection.execute(
        "select l.external_id, i.product_id::text, i.currency, i.before_amount, i.before_compare_at, i.after_amount,"
        " i.after_compare_at, i.state, i.event_id::text, (extract(epoch from i.sent_at) * 1000)::bigint,"
        " i.price_list_id::text, i.verdict, i.reason, i.binding,"
        " i.observed_amount, i.observed_compare_at, p.external_id, p.is_base, i.before_relative"
        " from calibr.price_change_item i"
        " join calibr.listing l on l.tenant_id = i.tenant_id and l.product_id = i.product_id"
        " join calibr.price_list p on p.tenant_id = i.tenant_id and p.id = i.price_list_id"
        " where i.tenant_id = %s and i.change_id = %s order by i.price_list_id, i.product_id",
        [tenant, change_id],
    )
    found = {item.external_id: item for item in map(_item, items)}
    state, plan_root, approved_root, counts, *head = row
    return Change(change_id, state, plan_root, approved_root, found, _header(change_id, head), counts)


def _item(r: tuple[Any, ...]) -> Item:
    (
        external_id,
        product_id,
        currency,
        *amounts,
        state,
        event_id,
        sent_at_ms,
        price_list_id,
        verdict,
        reason,
        binding,
        seen,
        seen_compare_at,
        list_number,
        is_base,
        is_relative,
    ) = r
    row = _joined(product_id, price_list_id, currency, *amounts, verdict, reason, binding)
    return Item(
        place_of(str(external_id), None if is_base else list_number), product_id, currency,
        (None, None) if is_relative else (amounts[0], amounts[1]), (amounts[2], amounts[3]), state,
        event_id, sent_at_ms, row, None if seen is None else (seen, seen_compare_at), price_list_id,
        None if is_base else str(external_id),
    )  # fmt: skip


def place_of(variant: str, price_list: object) -> str:
    """How a price is known here: the number of its variant, after that of its price list beside the base prices."""
    return variant if price_list is None else f"{str(price_list).rsplit('/', 1)[-1]}/{variant}"


def _header(change_id: str, head: list[Any]) -> str:
    revision, rule_hash, engine, computed_at, summary = head
    numbers = [(summary or {}).get(name) for name in ("selected", "left", "items")]
    return _joined("calibr-plan/1", change_id, revision, rule_hash, engine, _utc(computed_at), *numbers)


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _joined(*fields: object) -> str:
    return "|".join("" if field is None else str(field) for field in fields)


def read_events(connection: "psycopg.Connection[Any]", tenant: str) -> tuple[list[Event], int]:
    """The whole log of the tenant, and what its counter says."""
    rows = connection.execute(
        "select seq, event_id::text, type, aggregate_type, aggregate_id, body, leaf, actor, schema_version,"
        " correlation_id::text, causation_id::text, tenant_id::text, at"
        " from calibr.event where tenant_id = %s order by seq",
        [tenant],
    )
    names = ("actor", "schema_version", "correlation_id", "causation_id", "tenant_id", "at")
    events = [
        Event(*row[:5], bytes(row[5]), bytes(row[6]), dict(zip(names, (*row[7:-1], _utc(row[-1])), strict=True)))
        for row in rows
    ]
    head = connection.execute("select seq from calibr.tenant_head where tenant_id = %s", [tenant]).fetchone()
    return events, int(head[0]) if head else 0


def read_activity(connection: "psycopg.Connection[Any]", tenant: str) -> Activity:
    """What the projection of the tenant counted."""
    rows = connection.execute(
        "select day::text, type, events from calibr.event_activity where tenant_id = %s", [tenant]
    )
    return Activity(Counter({(day, kind): events for day, kind, events in rows}))


def read_start_of_delivery(events: list[Event], subscription: str | None) -> int:
    """The number after which a subscription gets events; 0 where nothing tells."""
    for event in events:
        if event.type == "subscription.created" and event.aggregate_id == subscription:
            return int(event.envelope["payload"]["position"])
    return 0


def read_store(path: Path) -> tuple[list[StoreWrite], dict[str, tuple[str | None, str | None]]]:
    """Every accepted write of the store, in its order, and what it shows for each variant now."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        rows = store.execute(
            "SELECT seq, source, variant_id, price_list_id, price_before, compare_at_price_before, price,"
            " compare_at_price, at_ms FROM journal ORDER BY seq"
        )
        journal = [StoreWrite(row[0], row[1], place_of(str(row[2]), row[3]), *row[4:]) for row in rows]
        shown: dict[str, tuple[str | None, str | None]] = {
            entry.external_id: (None, None) for entry in journal if "/" in entry.external_id
        }
        fixed = store.execute("SELECT variant_id, price_list_id, price, compare_at_price FROM fixed_price")
        variants = store.execute("SELECT id, NULL, price, compare_at_price FROM variant")
        for number, price_list, price, compare_at in (*fixed, *variants):
            shown[place_of(str(number), price_list)] = (price, compare_at)
        return journal, shown


def read_deliveries(path: Path, events: list[Event]) -> list[Delivery]:
    """Every arrival, in its order, with its number in the log. An unknown event has the number 0."""
    # A last line without its end was being written when the subscriber ended.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    seqs = {event.event_id: event.seq for event in events}
    return [
        Delivery(d["id"], seqs.get(d["id"], 0), d["key"], d["effect"], d.get("signed", True), d.get("leaf"))
        for d in map(json.loads, lines)
    ]
