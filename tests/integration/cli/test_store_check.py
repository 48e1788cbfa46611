"""The demo's independent reading of a store, against a sandbox process."""

from collections.abc import Iterator

import pytest

from calibr.cli.demo.processes import Processes
from calibr.cli.demo.store_check import PlanRow, Shown, StoreReader, compare, read_plan
from calibr.cli.demo.workspace import workspace
from calibr.cli.failures import CliError

PLAN = [
    "calibr-plan/1|c|1|h|e|2026-01-01T00:00:00.000000Z|3|0|3",
    "p1|l|USD|1000||900|1000|changed||",
    "p2|l|USD|500|600|500|600|unchanged||",
    "p3|l|USD|||||blocked|missing_price|",
]
LISTINGS = {"p1": "1", "p2": "2", "p3": "3"}
BEFORE = {"1": Shown(1000, None), "2": Shown(500, 600), "9": Shown(5, None)}
AFTER = {"1": Shown(900, 1000), "2": Shown(500, 600), "9": Shown(5, None)}


@pytest.fixture(scope="module")
def store() -> Iterator[StoreReader]:
    with workspace() as place:
        processes = Processes(place)
        try:
            launched = processes.launch(
                "store", ["calibr_sandbox", "serve", "--db", str(place.store_file), "--products", "60"]
            )
            launched.await_ready()
            yield StoreReader(launched.url, "shpat_sandbox")
        finally:
            processes.end_all()


def test_every_variant_is_read_and_an_edit_by_hand_is_seen(store: StoreReader) -> None:
    before = store.prices("USD")
    number = next(iter(before))

    store.edit(number, "12.34")
    after = store.prices("USD")

    assert len(before) == 60
    assert after[number] == Shown(1234, before[number].compare_at)
    assert {n for n in before if before[n] != after[n]} == {number}
    assert store.stats()["edits_by_hand"] == 1


def test_a_process_that_does_not_start_says_why() -> None:
    with workspace() as place:
        processes = Processes(place)
        bad = ["calibr_sandbox", "serve", "--db", str(place.store_file), "--plan", "gold"]
        with pytest.raises(CliError, match=r"the store did not start: .*plan"):
            processes.launch("store", bad).await_ready()
        processes.end_all()


def test_a_plan_is_read_without_its_header() -> None:
    assert list(read_plan(PLAN)) == [
        PlanRow("p1", "USD", Shown(1000, None), Shown(900, 1000), "changed"),
        PlanRow("p2", "USD", Shown(500, 600), Shown(500, 600), "unchanged"),
        PlanRow("p3", "USD", None, None, "blocked"),
    ]


def test_a_store_that_shows_the_plan_matches() -> None:
    found = compare(read_plan(PLAN), LISTINGS, AFTER, BEFORE)

    assert found.matches
    assert (found.compared, found.untouched) == (3, 1)


@pytest.mark.parametrize(
    "shown",
    [
        {**AFTER, "1": Shown(901, 1000)},
        {**AFTER, "1": Shown(900, None)},
        {**AFTER, "2": Shown(501, 600)},
        {**AFTER, "9": Shown(6, None)},
        {n: price for n, price in AFTER.items() if n != "1"},
    ],
    ids=["price", "compare-at", "unchanged row", "outside the plan", "vanished"],
)
def test_any_other_price_is_found(shown: dict[str, Shown]) -> None:
    assert not compare(read_plan(PLAN), LISTINGS, shown, BEFORE).matches


def test_an_empty_plan_proves_nothing() -> None:
    assert not compare([], LISTINGS, AFTER, {}).matches
