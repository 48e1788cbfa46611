"""The summary of a preview: counts, money, margin, histogram, what the rules held back, and the largest moves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from calibr.cli.amounts import amount, percent_change, share, signed_amount
from calibr.cli.histogram import FALL, FLAT, RISE, Bucket, histogram
from calibr.cli.views import price_lists
from calibr.cli.views.items import change_cell, moved
from calibr.cli.views.table import Cell, Column, FittedTable, table, text

Summary = Mapping[str, Any]

_BASIS_POINTS: Final = 100


def counts(summary: Summary) -> Table:
    """How many items of each verdict and direction, with their share of the plan."""
    items = int(summary["items"])
    verdicts, directions = summary["verdicts"], summary["directions"]
    entries = [
        ("changed", verdicts["changed"], "bold"),
        ("clamped", verdicts["clamped"], "yellow"),
        ("unchanged", verdicts["unchanged"], FLAT),
        ("blocked", verdicts["blocked"], "red"),
    ]
    moves = [
        ("down", directions["down"], FALL),
        ("up", directions["up"], RISE),
        ("price stays", directions["none"], FLAT),
    ]
    drawn = Table.grid(padding=(0, 3, 0, 0))
    for align in ("left", "right", "right", "left", "right", "right"):
        drawn.add_column(justify=align)
    for place, (name, number, style) in enumerate(entries):
        move = moves[place] if place < len(moves) else None
        cells: list[Cell] = [Text(name, style=style), f"{number:,}", Text(share(number, items), style=FLAT)]
        if move is not None:
            cells += [Text(move[0], style=move[2]), f"{move[1]:,}", Text(share(move[1], items), style=FLAT)]
        drawn.add_row(*cells)
    return drawn


def money(summary: Summary) -> FittedTable:
    """Totals before and after for each currency, and what is left above cost where the cost is known."""
    rows: list[list[Cell]] = []
    for total in summary["currencies"]:
        currency = str(total["currency"])
        rows.append(_totals(f"sum of prices, {currency}", total["before_total"], total["after_total"], currency))
        margin = total["margin"]
        if margin["items"]:
            label = f"margin of {margin['items']:,} with a cost"
            rows.append(_totals(label, margin["before"], margin["after"], currency))
    columns = [
        Column(""),
        Column("before", "right"),
        Column("after", "right"),
        Column("difference", "right"),
        Column(""),
    ]
    return table(columns, rows)


def bars(summary: Summary, width: int) -> list[Text]:
    """The histogram of moves in percent; empty ends are left out."""
    buckets = list(summary["histogram"])
    while buckets and not buckets[0]["items"]:
        buckets.pop(0)
    while buckets and not buckets[-1]["items"]:
        buckets.pop()
    return histogram([_bucket(bucket) for bucket in buckets], width)


def held_back(summary: Summary) -> Iterator[Text]:
    """What the rules held back or what a reader may not expect, one line each."""
    for reason, number in sorted(summary["reasons"].items()):
        yield Text(f"{number:,} blocked: {str(reason).replace('_', ' ')}", style="red")
    for guardrail, number in sorted(summary["bound_by"].items()):
        yield Text(f"{number:,} bound by guardrail {guardrail}", style="yellow")
    if summary["selected_as_missing"]:
        yield Text(f"{summary['selected_as_missing']:,} selected only because a field has no value", style="yellow")
    if summary["rounded_past_guardrail"]:
        yield Text(
            f"{summary['rounded_past_guardrail']:,} moved further by rounding than by their guardrail", style="yellow"
        )
    for part in summary["not_applied"]:
        yield Text(
            f"{part['kind']} {part['name']} is in {part['meant_for']} and says nothing in {part['currency']}",
            style="yellow",
        )


def movers(summary: Summary, limit: int) -> FittedTable:
    """The largest moves in each direction."""
    largest: Sequence[Mapping[str, Any]] = [
        *summary["top_movers"]["down"][:limit],
        *summary["top_movers"]["up"][:limit],
    ]
    rows: list[list[Cell]] = [
        [
            text(m.get("sku")),
            text(m.get("title")),
            moved(m["before"], m["after"], str(m["currency"])),
            change_cell(m["before"], m["after"]),
        ]
        for m in largest
    ]
    return table([Column("SKU"), Column("title", shrink=True), Column("price", "right"), Column("", "right")], rows)


def estimate(summary: Summary) -> list[Text]:
    """What the store's rate limits make of it."""
    return [
        Text(f"writing takes about {eta['seconds']:,} s ({', '.join(_asked(eta))})", style=FLAT)
        for eta in summary["eta"] or []
    ]


def _asked(eta: Mapping[str, Any]) -> list[str]:
    files = ["in files that the store works through"] if eta.get("path") == "bulk" else []
    return [*files, f"{eta['calls']:,} calls", f"{eta['points']:,} points"]


def whole(summary: Summary, width: int) -> RenderableType:
    """All of it, as `change show` prints it."""
    left = f", {summary['left']:,} left alone" if summary["left"] else ""
    head = Text(f"{summary['selected']:,} selected{left}, {summary['to_write']:,} to write")
    parts: list[RenderableType] = [head, Text(""), counts(summary), Text("")]
    if summary["currencies"]:
        parts += [money(summary), Text("")]
    if drawn := bars(summary, width):
        parts += [*drawn, Text("")]
    if notes := list(held_back(summary)):
        parts += [*notes, Text("")]
    if told := list(price_lists.notes(summary.get("price_lists", ()))):
        parts += [Text("other price lists", style="bold"), *told, Text("")]
    if summary["top_movers"]["down"] or summary["top_movers"]["up"]:
        parts += [Text("largest moves", style="bold"), movers(summary, 3), Text("")]
    parts += estimate(summary)
    return Group(*parts)


def _totals(label: str, before: int, after: int, currency: str) -> list[Cell]:
    style = RISE if after > before else FALL if after < before else FLAT
    return [
        label,
        amount(before, currency),
        amount(after, currency),
        Text(signed_amount(after - before, currency), style=style),
        Text(percent_change(before, after), style=style),
    ]


def _bucket(bucket: Mapping[str, Any]) -> Bucket:
    low, high = bucket["from_bp"], bucket["to_bp"]
    number = int(bucket["items"])
    if low == 0 and high == 0:
        return Bucket("stays", number, FLAT)
    falls = high is not None and high <= 0
    if low is None:
        return Bucket(f"below {_percent(high)} %", number, FALL)
    if high is None:
        return Bucket(f"{_percent(low)} % and more", number, RISE)
    return Bucket(f"{_percent(low)} to {_percent(high)} %", number, FALL if falls else RISE)


def _percent(basis_points: int) -> str:
    whole, rest = divmod(abs(basis_points), _BASIS_POINTS)
    sign = "-" if basis_points < 0 else "+" if basis_points > 0 else ""
    return f"{sign}{whole}" + (f".{rest:02d}".rstrip("0") if rest else "")
