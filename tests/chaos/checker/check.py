"""Judges a run by its evidence: what the store wrote down, what the database holds, what a subscriber got.

A program of its own that shares no code with Calibr: it knows the tables, the journal of the sandbox store and the
documented formats, and nothing else. Run it as

    CHECK_DATABASE=... python check.py --tenant ID --change ID [--change ID] --store FILE --deliveries FILE \
        [--subscription ID] [--plan FILE]

It prints one JSON object with `violations` (numbers that must be zero), `integrity` (as well), `raced` (edits that no
reader of the store could have seen in time) and `evidence` (the first offenders of each), and exits 1 if anything that
must be zero is not. The login must see the rows of all tenants. `--database` is seen by everybody on the machine.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from evidence import (
    Activity,
    Change,
    Delivery,
    Event,
    StoreWrite,
    read_activity,
    read_changes,
    read_deliveries,
    read_events,
    read_start_of_delivery,
    read_store,
)
from log_checks import check_activity, check_deliveries, check_log
from plan_root import root_of
from price_checks import check_counts, check_journal, check_prices

SHOWN = 5
VIOLATIONS = (
    *("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten"),
    *("events_lost", "effects_twice", "reorders", "gaps"),
)


@dataclass
class Evidence:
    """Everything that is judged. What is None was not to be looked at."""

    changes: list[Change]
    journal: list[StoreWrite]
    events: list[Event]
    head: int
    deliveries: list[Delivery] | None = None
    starts_after: int = 0
    activity: Activity | None = None
    shown: dict[str, tuple[str | None, str | None]] | None = None
    lease_ms: int = 120_000


@dataclass
class Findings:
    """Offenders by kind."""

    found: dict[str, list[str]]
    raced: list[str] = field(default_factory=list)

    @property
    def violations(self) -> dict[str, list[str]]:
        """What a run promises."""
        return {name: self.found.get(name, []) for name in VIOLATIONS}

    @property
    def integrity(self) -> dict[str, list[str]]:
        """Whether the evidence itself holds together."""
        return {name: offences for name, offences in self.found.items() if name not in VIOLATIONS}

    def document(self) -> dict[str, Any]:
        """What is printed."""
        return {
            "violations": {name: len(found) for name, found in self.violations.items()},
            "integrity": {name: len(found) for name, found in self.integrity.items()},
            "raced": len(self.raced),
            "evidence": {name: found[:SHOWN] for name, found in {**self.found, "raced": self.raced}.items() if found},
        }

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())


def judge(evidence: Evidence) -> Findings:
    """All findings about this evidence."""
    found, raced = check_prices(evidence.changes, evidence.journal, evidence.events, evidence.lease_ms)
    findings = Findings(found, raced)
    _add(findings, check_log(evidence.events, evidence.head))
    if evidence.deliveries is not None:
        wanted = [event for event in evidence.events if event.seq > evidence.starts_after]
        _add(findings, check_deliveries(wanted, evidence.deliveries))
    if evidence.activity is not None:
        _add(findings, check_activity(evidence.events, evidence.activity))
    if evidence.shown is not None:
        _add(findings, {"journal_wrong": check_journal(evidence.journal, evidence.shown)})
    counts = [offence for change in evidence.changes for offence in check_counts(change)]
    _add(findings, {"counts_wrong": counts})
    return findings


def _add(findings: Findings, offences: dict[str, list[str]]) -> None:
    for name, more in offences.items():
        findings.found.setdefault(name, []).extend(more)


def check_plan(change: Change, plan: bytes | None = None) -> list[str]:
    """The stored rows, hashed independently, against the root that was sealed, the one approved, and the text read.

    `plan` is the text of the plan as somebody read it when they approved it.
    """
    root = root_of(change.text)
    found = []
    if root != change.plan_root:
        found.append(f"{change.id}: the rows have the root {root}, sealed was {change.plan_root}")
    if change.approved_root != change.plan_root:
        found.append(f"{change.id}: approved was {change.approved_root}")
    if plan is not None and plan != change.text:
        found.append(f"{change.id}: the rows are not those that were read before the approval")
    return found


def main(arguments: list[str]) -> int:
    """Read the evidence, judge it, print."""
    options = _parser().parse_args(arguments)
    with psycopg.connect(options.database) as connection:
        changes = read_changes(connection, options.tenant, options.change)
        events, head = read_events(connection, options.tenant)
        activity = read_activity(connection, options.tenant) if options.deliveries else None
    journal, shown = read_store(options.store) if options.store else ([], None)
    deliveries = read_deliveries(options.deliveries, events) if options.deliveries else None
    start = read_start_of_delivery(events, options.subscription)
    findings = judge(Evidence(changes, journal, events, head, deliveries, start, activity, shown, options.lease_ms))
    plans = [path.read_bytes() for path in options.plan] or [None] * len(changes)
    wrong = [offence for change, plan in zip(changes, plans, strict=True) for offence in check_plan(change, plan)]
    _add(findings, {"plan_roots_wrong": wrong})
    sys.stdout.write(json.dumps(findings.document()) + "\n")
    return 0 if findings.holds else 1


def _parser() -> argparse.ArgumentParser:
    known = os.environ.get("CHECK_DATABASE")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default=known, required=known is None, help="CHECK_DATABASE if left out")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--change", action="append", default=[], help="in the order of their runs")
    parser.add_argument("--store", type=Path, help="the file of the sandbox store")
    parser.add_argument("--deliveries", type=Path, help="JSON lines of the subscriber")
    parser.add_argument("--subscription", help="its id, which tells from where on it gets events")
    parser.add_argument("--lease-ms", type=int, default=120_000, help="how long after it was marked a write may come")
    parser.add_argument("--plan", action="append", type=Path, default=[], help="plan.txt of each change, as approved")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
