"""The histogram in text."""

from calibr.cli.histogram import Bucket, bar, histogram


def test_bars_are_in_proportion() -> None:
    lines = [line.plain for line in histogram([Bucket("-10 %", 100), Bucket("0 %", 50), Bucket("+5 %", 0)], 40)]

    bars = [line.count("█") for line in lines]
    assert bars[0] == 2 * bars[1]
    assert bars[2] == 0
    assert lines[2].endswith("│")


def test_what_is_not_zero_is_visible() -> None:
    assert bar(1, 1_000_000, 30) == "▏"
    assert bar(0, 1_000_000, 30) == ""


def test_no_line_is_wider_than_asked() -> None:
    buckets = [Bucket("-50 % and less", 1_234_567), Bucket("0 %", 3)]

    assert all(line.cell_len <= 60 for line in histogram(buckets, 60))


def test_labels_and_bars_are_aligned() -> None:
    lines = [line.plain for line in histogram([Bucket("-100 %", 3), Bucket("0 %", 5)], 40)]

    assert {line.index("│") for line in lines} == {7}


def test_nothing_to_draw_is_nothing() -> None:
    assert histogram([], 40) == []
    assert [line.plain for line in histogram([Bucket("0 %", 0)], 40)] == ["0 % │"]
