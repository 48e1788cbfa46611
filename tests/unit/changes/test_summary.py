"""The numbers of a summary, folded from groups, and the schema that they keep."""

import itertools

from calibr.changes.summary import (
    EDGES_BP,
    FALLS,
    STAYS,
    Findings,
    ItemGroup,
    Mover,
    Selection,
    Sums,
    highest,
    histogram,
    lowest,
    summarize,
)
from calibr.core.ids import new_uuid
from calibr.pricing import Direction
from calibr.registry import load_registry


def group(verdict: str, bucket: int, items: int, sums: Sums | None = None, **more: str) -> ItemGroup:
    return ItemGroup("USD", verdict, more.get("reason"), more.get("binding"), bucket, items, sums or Sums(), 0)


def mover(before: int, after: int, change_bp: int | None) -> Mover:
    return Mover(new_uuid(), new_uuid(), "USD", before, after, change_bp)


def test_groups_fold_into_counts_and_money() -> None:
    groups = [
        group("changed", FALLS, 3, Sums(3, 300, 270, 2, 100, 80)),
        group("clamped", FALLS + 1, 2, Sums(2, 200, 210, 0, 0, 0), binding="cap"),
        group("blocked", STAYS, 4, reason="missing_cost", binding="margin"),
        group("unchanged", STAYS, 1, Sums(1, 50, 50, 1, 10, 10)),
    ]

    found = summarize(groups, Findings(Selection(12, 2, 1)))

    assert load_registry().validate("price-change-summary", "1.1.0", found) == []
    assert (found["items"], found["to_write"], found["selected"], found["left"]) == (10, 5, 12, 2)
    assert found["directions"] == {"up": 2, "down": 3, "none": 5}
    assert (found["reasons"], found["bound_by"]) == ({"missing_cost": 4}, {"cap": 2, "margin": 4})
    assert found["currencies"] == [
        {
            "currency": "USD",
            "items": 6,
            "before_total": 550,
            "after_total": 530,
            "delta": -20,
            "margin": {"items": 3, "before": 110, "after": 90, "delta": -20},
        }
    ]


def test_blocked_items_are_in_no_bucket() -> None:
    found = summarize([group("blocked", STAYS, 4), group("unchanged", STAYS, 1)], Findings(Selection()))

    assert sum(bucket["items"] for bucket in found["histogram"]) == 1


def test_buckets_cover_every_change_once_with_the_prices_that_stay_in_the_middle() -> None:
    drawn = histogram({})
    borders = [(b["from_bp"], b["to_bp"]) for b in drawn]

    assert borders[0] == (None, EDGES_BP[0])
    assert borders[-1] == (EDGES_BP[-1], None)
    assert borders[FALLS] == (0, 0)
    moved = borders[:FALLS] + borders[FALLS + 1 :]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(moved))


def test_movers_are_ranked_by_percent_then_amount_and_a_rise_from_nothing_leads() -> None:
    small, large = mover(100, 150, 5000), mover(1000, 1500, 5000)
    nothing, fall, deep = mover(0, 1, None), mover(100, 90, -1000), mover(100, 10, -9000)

    assert highest([small, nothing, large]) == [nothing, large, small]
    assert lowest([fall, deep]) == [deep, fall]


def test_a_bucket_knows_its_direction() -> None:
    assert group("changed", STAYS, 1).direction is Direction.NONE
    assert group("changed", 1, 1).direction is Direction.DOWN
    assert group("changed", FALLS + 1, 1).direction is Direction.UP
