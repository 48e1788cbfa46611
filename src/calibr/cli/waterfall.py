"""Draws an explain trace as a waterfall: price in force, steps, guardrails, rounding, verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from calibr.cli.amounts import NONE, amount, margin_percent, percent_change, signed_amount
from calibr.cli.histogram import FALL, FLAT, RISE, bar
from calibr.cli.rule_words import guardrail_words, step_words

Trace = Mapping[str, Any]
Rule = Mapping[str, Any]

VERDICT_STYLES: Final = {"changed": "bold", "clamped": "yellow", "unchanged": "bright_black", "blocked": "red"}
_WHY: Final = {
    "keep": "stays",
    "clear": "cleared",
    "set": "set by the rule",
    "from_price": "the old price, since the price falls",
    "highest": "the highest price so far, since the price falls",
    "otherwise_keep": "the price does not fall, so it stays",
    "otherwise_clear": "the price does not fall, so it is cleared",
    "percent_above": "above the new price",
    "cleared_by_guardrail": "cleared by a guardrail",
}
_BAR: Final = 26


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: what happened, the amount afterwards, the difference that it made, and a remark."""

    label: str
    level: int | None
    before: int | None = None
    remark: str = ""
    style: str = ""


def waterfall(trace: Trace, rule: Rule | None = None, *, bars: bool = True) -> Table:
    """The trace as a table. With the `rule` of the change the steps and guardrails are told in words."""
    currency = str(trace["currency"])
    rows = _rows(trace, rule or {})
    top = max((abs(row.level) for row in rows if row.level is not None), default=0)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for row in rows:
        moved = row.before is not None and row.level is not None and row.level != row.before
        table.add_row(
            Text(row.label, style=row.style),
            "" if row.level is None else Text(amount(row.level, currency), style=row.style),
            _delta(row, currency) if moved else Text(row.remark, style="bright_black"),
            _level_bar(row, top) if bars else "",
        )
    return table


def outcome(trace: Trace) -> list[Text]:
    """The last lines: compare-at, margin, verdict and the rule that bound."""
    currency = str(trace["currency"])
    lines = []
    compare_at = trace.get("compare_at") or {}
    if (why := compare_at.get("why")) is not None:
        moved = f"{amount(compare_at.get('in'), currency)} → {amount(compare_at.get('out'), currency)}"
        lines.append(Text(f"compare-at {moved}: {_WHY.get(str(why), str(why))}"))
    cost, after = trace["inputs"].get("unit_cost"), trace["after"].get("unit_amount")
    if cost is not None and (now := margin_percent(after, cost)):
        was = margin_percent(trace["inputs"].get("unit_amount"), cost)
        lines.append(Text(f"margin {was} → {now} on a cost of {amount(cost, currency)}"))
    verdict = str(trace["verdict"])
    parts = [verdict, str(trace.get("reason") or "").replace("_", " ")]
    text = ": ".join(part for part in parts if part)
    bound = f", bound by {trace['binding']}" if trace.get("binding") else ""
    broken = f", which would break {trace['violated']}" if trace.get("violated") else ""
    lines.append(Text.assemble("verdict ", (text, VERDICT_STYLES.get(verdict, "")), f"{bound}{broken}"))
    return lines


def _rows(trace: Trace, rule: Rule) -> list[_Row]:
    level = trace["inputs"].get("unit_amount")
    rows = [_Row("price in force", level)]
    words = _words_of_steps(rule, trace.get("case"))
    for index, step in enumerate(trace["steps"]):
        label = words[index] if index < len(words) else str(step["op"]).replace("_", " ")
        skipped = bool(step.get("skipped"))
        rows.append(_Row(label, step.get("out"), step.get("in"), "skipped" if skipped else _remark(step)))
    by_id = {g.get("id"): g for g in rule.get("guardrails") or [] if isinstance(g, Mapping)}
    rows += [_guardrail(g, by_id.get(g["id"]), str(trace["currency"])) for g in trace["guardrails"]]
    if (again := trace.get("rounded_again")) is not None:
        rows.append(_Row(f"rounded again ({again['mode']})", again.get("out"), again.get("in")))
    after = trace["after"].get("unit_amount")
    change = percent_change(level, after)
    kept = trace["verdict"] == "blocked"
    rows.append(_Row("price stays" if kept else "new price", after, None, change, "bold"))
    return rows


def _remark(step: Trace) -> str:
    return "gave no amount" if step.get("out") is None else "no change" if step.get("in") == step.get("out") else ""


def _guardrail(entry: Trace, declared: Rule | None, currency: str) -> _Row:
    label = guardrail_words(declared).partition(";")[0] if declared else str(entry["rule"]).replace("_", " ")
    bound = entry.get("bound")
    limit = f" ({amount(bound, currency)})" if bound is not None else ""
    result = str(entry["result"])
    if result == "clamped" and entry.get("in") != entry.get("out"):
        return _Row(f"{label}{limit}", entry.get("out"), entry.get("in"))
    remark = {"pass": "passes", "not_reached": "not reached"}.get(result, result)
    return _Row(f"{label}{limit}", None, None, remark, "red" if result == "blocked" else "")


def _words_of_steps(rule: Rule, case: object) -> list[str]:
    """The steps of the branch that decided, in words."""
    branch: object = rule.get("transform")
    match branch, case:
        case {"cases": [*cases]}, int(index) if 0 <= index < len(cases):
            branch = cases[index]
        case {"otherwise": otherwise}, "otherwise":
            branch = otherwise
    return [step_words(step) for step in branch.get("price", [])] if isinstance(branch, Mapping) else []


def _delta(row: _Row, currency: str) -> Text:
    if row.level is None or row.before is None:
        return Text(NONE)
    return Text(signed_amount(row.level - row.before, currency), style=RISE if row.level > row.before else FALL)


def _level_bar(row: _Row, top: int) -> Text:
    """How high the price stands, and what this line took off or put on."""
    if row.level is None or row.level < 0:
        return Text("")
    before = row.level if row.before is None or row.before < 0 else row.before
    low, high = sorted((row.level, before))
    solid, whole = bar(low, top, _BAR), bar(high, top, _BAR)
    moved = max(0, len(whole) - len(solid)) or int(high != low)
    style = RISE if row.level > before else FALL
    return Text.assemble((solid, "cyan" if row.style else FLAT), ("░" * moved, style))
