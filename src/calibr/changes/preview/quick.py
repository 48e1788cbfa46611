"""The numbers of a plan before there is one: the same statement under aggregates, and nothing is stored."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from calibr.catalog import list_price_lists, plan_source
from calibr.changes.repository import get_change
from calibr.changes.repository_plan import expect_many_rows
from calibr.changes.rules import ListRules, bind_all, rules_of
from calibr.changes.summary import Sums, not_applied_document
from calibr.core.ids import PriceChangeId
from calibr.db import Session
from calibr.pricing import Reason, Verdict, compile_plan


def quick_summary(session: Session, change_id: PriceChangeId) -> dict[str, Any]:
    """What a preview would count now: the members of `price-change-summary/1.0.0` that need no stored items.

    Reads the catalog once and writes nothing. Raises `DocumentError` as a preview would be refused.
    """
    expect_many_rows(session)
    change = get_change(session, change_id)
    wanted = set(change.price_list_ids)
    bound = bind_all(rules_of(change), [p for p in list_price_lists(session) if p.id in wanted])
    totals: Counter[str] = Counter()
    sums: defaultdict[str, Sums] = defaultdict(Sums)
    for rules in bound:
        row = _row(session, rules)
        totals.update({name: int(number) for name, number in row.items()})
        sums[rules.price_list.currency] += _sums(row)
    return {
        **{name: totals[name] for name in ("selected", "left", "selected_as_missing", "items")},
        "to_write": totals["changed"] + totals["clamped"],
        "verdicts": {str(verdict): totals[verdict] for verdict in Verdict},
        "directions": {
            "up": totals["up"],
            "down": totals["down"],
            "none": totals["items"] - totals["up"] - totals["down"],
        },
        "reasons": {str(r): totals[f"blocked_{r}"] for r in sorted(Reason) if totals[f"blocked_{r}"]},
        "currencies": [found.document(currency) for currency, found in sorted(sums.items())],
        "not_applied": [not_applied_document(n) for rules in bound for n in rules.not_applied],
        "rounded_past_guardrail": totals["rounded_far"],
    }


def _row(session: Session, rules: ListRules) -> dict[str, Any]:
    source = plan_source(session, rules.price_list.id, computed_at=session.now)
    return dict(session.execute(compile_plan(rules.rules, source).summary).mappings().one())


def _sums(row: Mapping[str, Any]) -> Sums:
    proposed = row["changed"] + row["clamped"] + row["unchanged"]
    return Sums(
        items=proposed,
        before=int(row["before_total"]),
        after=int(row["after_total"]),
        costed=row["costed_items"],
        margin_before=int(row["costed_before_total"] - row["cost_total"]),
        margin_after=int(row["costed_after_total"] - row["cost_total"]),
    )
