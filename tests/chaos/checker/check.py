"""Judges a run by its evidence: what the store wrote down, what the database holds, what a subscriber got.

A program of its own that shares no code with Calibr: it knows the tables, the journal of the sandbox store and the
documented formats, and nothing else. Run it as

    python check.py --database URL --tenant ID --change ID [--change ID] --store FILE --deliveries FILE [--plan FILE]

It prints one JSON object with `violations` (numbers that must be zero), `integrity` (as well) and `evidence` (the first
offenders of each), and exits 1 if anything is not zero. The login must see the rows of all tenants.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from evidence import (
    Change,
    Delivery,
    Event,
    StoreWrite,
    read_changes,
    read_deliveries,
    read_events,
    read_journal,
    read_start_of_delivery,
)
from log_checks import check_deliveries, check_log
from plan_root import root_of
from price_checks import check_prices

SHOWN = 5


@dataclass
class Findings:
    """Offenders by kind."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    integrity: dict[str, list[str]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What is printed."""
        both = {**self.violations, **self.integrity}
        return {
            "violations": {name: len(found) for name, found in self.violations.items()},
            "integrity": {name: len(found) for name, found in self.integrity.items()},
            "evidence": {name: found[:SHOWN] for name, found in both.items() if found},
        }

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not any(self.violations.values()) and not any(self.integrity.values())


def judge(
    changes: list[Change], journal: list[StoreWrite], events: list[Event], head: int, deliveries: list[Delivery] | None
) -> Findings:
    """All findings about this evidence. `deliveries` None: nobody had subscribed."""
    findings = Findings(check_prices(changes, journal, events), {})
    log = check_log(events, head)
    findings.violations["gaps"] = log.pop("gaps")
    findings.integrity = log
    expected, got = ([], []) if deliveries is None else (events, deliveries)
    findings.violations.update(check_deliveries(expected, got))
    return findings


def check_plan(change: Change, plan: bytes) -> list[str]:
    """The plan as text, hashed independently, against the root that was sealed and the one that was approved."""
    root = root_of(plan)
    rows = plan.count(b"\n") - 1
    found = (
        []
        if root == change.plan_root
        else [f"{change.id}: the rows have the root {root}, sealed was {change.plan_root}"]
    )
    if change.approved_root != change.plan_root:
        found.append(f"{change.id}: approved was {change.approved_root}")
    if rows != len(change.items):
        found.append(f"{change.id}: {rows} rows in the text, {len(change.items)} items")
    return found


def main(arguments: list[str]) -> int:
    """Read the evidence, judge it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--change", action="append", default=[])
    parser.add_argument("--store", type=Path)
    parser.add_argument("--deliveries", type=Path)
    parser.add_argument("--subscription")
    parser.add_argument("--plan", action="append", type=Path, default=[])
    options = parser.parse_args(arguments)
    with psycopg.connect(options.database) as connection:
        changes = read_changes(connection, options.tenant, options.change)
        events, head = read_events(connection, options.tenant)
        start = read_start_of_delivery(events, options.subscription)
    journal = read_journal(options.store) if options.store else []
    deliveries = read_deliveries(options.deliveries, events) if options.deliveries else None
    findings = judge(changes, journal, events, head, deliveries)
    if deliveries is not None and start:
        wanted = [event for event in events if event.seq > start]
        findings.violations.update(check_deliveries(wanted, [d for d in deliveries if d.seq > start]))
    findings.integrity["plan_roots_wrong"] = [
        offence
        for change, path in zip(changes, options.plan, strict=False)
        for offence in check_plan(change, path.read_bytes())
    ]
    sys.stdout.write(json.dumps(findings.document()) + "\n")
    return 0 if findings.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
