"""Reads the evidence into plain values: from the database, the store's journal, and what the subscriber wrote down."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3}


@dataclass(frozen=True)
class Item:
    """One row of a plan, with the number that the store knows it by. Amounts are minor units."""

    external_id: str
    product_id: str
    currency: str
    before: tuple[int | None, int | None]
    after: tuple[int | None, int | None]
    state: str


@dataclass(frozen=True)
class Change:
    """A price change with all rows of its plan."""

    id: str
    state: str
    plan_root: str | None
    approved_root: str | None
    items: dict[str, Item] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreWrite:
    """One accepted write of a variant, as the store wrote it down."""

    seq: int
    source: str
    external_id: str
    price_before: str | None
    compare_at_before: str | None
    price: str
    compare_at: str | None


@dataclass(frozen=True)
class Event:
    """One row of the event log."""

    seq: int
    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    body: bytes
    leaf: bytes
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def envelope(self) -> dict[str, Any]:
        """The document that the stored bytes are."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True)
class Delivery:
    """One arrival at the subscriber. `had_effect`: its inbox had not seen the event before."""

    event_id: str
    seq: int
    key: str
    had_effect: bool


def minor_units(text: str | None, currency: str) -> int | None:
    """Minor units of an amount as the store writes it."""
    return None if text is None else int(Decimal(text).scaleb(EXPONENTS.get(currency, 2)))


def read_changes(connection: "psycopg.Connection[Any]", tenant: str, ids: list[str]) -> list[Change]:
    """The changes in the order of `ids`."""
    return [_change(connection, tenant, change_id) for change_id in ids]


def _change(connection: "psycopg.Connection[Any]", tenant: str, change_id: str) -> Change:
    row = connection.execute(
        "select state, plan_root, approved_root from calibr.price_change where tenant_id = %s and id = %s",
        [tenant, change_id],
    ).fetchone()
    if row is None:
        raise SystemExit(f"there is no price change {change_id}")
    items = connection.execute(
        "select l.external_id, i.product_id::text, i.currency, i.before_amount, i.before_compare_at, i.after_amount,"
        " i.after_compare_at, i.state from calibr.price_change_item i"
        " join calibr.listing l on l.tenant_id = i.tenant_id and l.product_id = i.product_id"
        " where i.tenant_id = %s and i.change_id = %s",
        [tenant, change_id],
    )
    found = {str(r[0]): Item(str(r[0]), r[1], r[2], (r[3], r[4]), (r[5], r[6]), r[7]) for r in items}
    return Change(change_id, row[0], row[1], row[2], found)


def read_events(connection: "psycopg.Connection[Any]", tenant: str) -> tuple[list[Event], int]:
    """The whole log of the tenant, and what its counter says."""
    rows = connection.execute(
        "select seq, event_id::text, type, aggregate_type, aggregate_id, body, leaf, actor, schema_version,"
        " correlation_id::text, causation_id::text from calibr.event where tenant_id = %s order by seq",
        [tenant],
    )
    names = ("actor", "schema_version", "correlation_id", "causation_id")
    events = [Event(*row[:5], bytes(row[5]), bytes(row[6]), dict(zip(names, row[7:], strict=True))) for row in rows]
    head = connection.execute("select seq from calibr.tenant_head where tenant_id = %s", [tenant]).fetchone()
    return events, int(head[0]) if head else 0


def read_start_of_delivery(events: list[Event], subscription: str | None) -> int:
    """The number after which a subscription gets events; 0 where nothing tells."""
    for event in events:
        if event.type == "subscription.created" and event.aggregate_id == subscription:
            return int(event.envelope["payload"]["position"])
    return 0


def read_journal(path: Path) -> list[StoreWrite]:
    """Every accepted write of the store, in its order."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        rows = store.execute(
            "SELECT seq, source, variant_id, price_before, compare_at_price_before, price, compare_at_price"
            " FROM journal ORDER BY seq"
        )
        return [StoreWrite(row[0], row[1], str(row[2]), *row[3:]) for row in rows]


def read_deliveries(path: Path, events: list[Event]) -> list[Delivery]:
    """Every arrival, in its order, with its number in the log. An unknown event has the number 0."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    seqs = {event.event_id: event.seq for event in events}
    return [Delivery(d["id"], seqs.get(d["id"], 0), d["key"], d["effect"]) for d in map(json.loads, lines)]
