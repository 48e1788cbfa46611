"""Exact arithmetic and rounding, against definitions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.money import MAX_MINOR
from calibr.pricing.arithmetic import Ratio, at_margin, minus_percent, plus_percent
from calibr.pricing.rounding import Endings, Grid, Multiples
from calibr.pricing.vocabulary import Mode

amounts = st.one_of(st.integers(0, 500), st.integers(0, MAX_MINOR))
percents = st.integers(-999_999, 10**10)


def half_away_from_zero(value: Fraction) -> int:
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


@given(st.integers(-MAX_MINOR, MAX_MINOR), percents)
def test_plus_a_percent_is_rounded_once_half_away_from_zero(amount: int, percent: int) -> None:
    exact = Fraction(amount) * (1_000_000 + percent) / 1_000_000

    ratio = plus_percent(percent)

    assert ratio.nearest(amount) == half_away_from_zero(exact)
    assert ratio.floor(amount) == floor(exact)
    assert ratio.ceil(amount) == ceil(exact)


@given(amounts, st.integers(-(10**10), 999_999))
def test_a_margin_is_exact(cost: int, percent: int) -> None:
    exact = Fraction(cost) * 1_000_000 / (1_000_000 - percent)

    assert at_margin(percent).nearest(cost) == half_away_from_zero(exact)
    assert at_margin(percent).ceil(cost) == ceil(exact)


@given(amounts, st.integers(0, 1_000_000))
def test_minus_a_percent_is_exact(amount: int, percent: int) -> None:
    assert minus_percent(percent).ceil(amount) == ceil(Fraction(amount) * (1_000_000 - percent) / 1_000_000)


@pytest.mark.parametrize(
    ("ratio", "amount", "expected"),
    [
        (at_margin(999_232), 6, 7813),
        (at_margin(808_000), 12, 63),
        (plus_percent(150_000), 2850, 3278),
        (plus_percent(1), 100000500000, 100000600001),
        (plus_percent(1), 100000499999, 100000599999),
    ],
)
def test_examples_of_the_page(ratio: Ratio, amount: int, expected: int) -> None:
    assert ratio.nearest(amount) == expected


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    size = draw(st.one_of(st.integers(1, 120), st.integers(1, MAX_MINOR)))
    if draw(st.booleans()):
        return Multiples(size)
    offsets = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=6))
    return Endings(size, tuple(sorted(offsets)))


def around(grid: Grid, amount: int) -> tuple[int | None, int]:
    """The points of a grid next to an amount, found by trying every point near it."""
    if isinstance(grid, Multiples):
        period, offsets = grid.unit, (0,)
    else:
        assert isinstance(grid, Endings)
        period, offsets = grid.per, grid.offsets
    start = amount // period
    points = [n * period + offset for n in range(max(0, start - 1), start + 2) for offset in offsets]
    below = [point for point in points if point <= amount]
    return (max(below) if below else None), min(point for point in points if point >= amount)


@given(grids(), amounts)
def test_rounding_finds_the_point_that_the_mode_asks_for(grid: Grid, amount: int) -> None:
    below, above = around(grid, amount)
    nearest = above if below is None or above - amount <= amount - below else below

    assert grid.round(amount, Mode.UP) == above
    assert grid.round(amount, Mode.DOWN) == (amount if below is None else below)
    assert grid.round(amount, Mode.NEAREST) == nearest


@given(grids(), amounts, st.sampled_from(Mode))
def test_rounding_again_changes_nothing(grid: Grid, amount: int, mode: Mode) -> None:
    once = grid.round(amount, mode)

    assert grid.round(once, mode) == once


@given(grids(), amounts, amounts, st.sampled_from(Mode))
def test_rounding_keeps_the_order_of_amounts(grid: Grid, one: int, other: int, mode: Mode) -> None:
    low, high = sorted((one, other))

    assert grid.round(low, mode) <= grid.round(high, mode)


@given(percents)
def test_the_compiled_products_of_a_percent_stay_within_bigint(percent: int) -> None:
    for ratio in (plus_percent(percent), at_margin(min(percent, 999_999)), at_margin(-percent)):
        times, rest = divmod(ratio.numerator, ratio.denominator)

        assert MAX_MINOR * times + 2 * MAX_MINOR * rest + 2 * ratio.denominator < 2**63
