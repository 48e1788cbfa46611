"""A file of writes says the same as calls would, line by line, and nothing that must not reach a store."""

import re
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify import bulk_write
from calibr.connectors.shopify.batches import MAX_ARRAY
from calibr.connectors.shopify.bulk_write import BulkPriceWriter, lines_of, mutation
from calibr.connectors.shopify.documents import UPDATE_PRICES
from calibr.connectors.shopify.errors import RefusedError
from calibr.connectors.shopify.writes import PriceWriter
from calibr.core.errors import Invalid

AMOUNTS = st.integers(min_value=-1, max_value=10**12)
WRITES = st.lists(
    st.builds(
        PriceWrite,
        external_id=st.integers(min_value=0, max_value=10**6).map(str),
        group_external_id=st.integers(min_value=1, max_value=5).map(str),
        currency=st.sampled_from(["USD", "JPY", "KWD"]),
        unit_amount=AMOUNTS,
        compare_at=st.none() | AMOUNTS,
        write_compare_at=st.booleans(),
    ),
    unique_by=lambda write: write.external_id,
    max_size=40,
)


class Recorder:
    """In the place of the HTTP client: keeps the variables of each mutation, and never answers."""

    def __init__(self) -> None:
        self.variables: list[dict[str, Any]] = []

    def call(self, document: object, variables: dict[str, Any], **_: object) -> dict[str, Any]:
        assert document is UPDATE_PRICES
        self.variables.append(variables)
        raise RefusedError("upstream.protocol", "seen enough")


class OneAtATime:
    """In the place of the pool of threads."""

    def submit(self, run: Any, item: Any) -> Any:  # noqa: ANN401 - a future of anything
        result = run(item)
        return SimpleNamespace(result=lambda: result, cancel=lambda: None)


@given(WRITES)
def test_both_paths_send_the_same_variables(writes: list[PriceWrite]) -> None:
    for currency in ("USD", "JPY", "KWD"):
        own = [write for write in writes if write.currency == currency]
        recorder = Recorder()
        store = SimpleNamespace(get=lambda _until, told=currency: told)
        writer = PriceWriter(cast("Any", recorder), cast("Any", store), cast("Any", OneAtATime()))
        writer.write(own, until=1.0)

        lines = [orjson.loads(line) for line in bulk_write._file(lines_of(own)).splitlines()]

        assert lines == recorder.variables


@given(WRITES)
def test_a_cleared_a_kept_and_a_set_compare_at_are_three_things(writes: list[PriceWrite]) -> None:
    lines = [orjson.loads(line) for line in bulk_write._file(lines_of(writes)).splitlines()]
    rows = {row["id"].rpartition("/")[2]: row for line in lines for row in line["variants"]}

    for write in writes:
        row = rows.get(write.external_id)
        if row is None:
            continue
        assert ("compareAtPrice" in row) is write.write_compare_at
        if write.write_compare_at:
            assert (row["compareAtPrice"] is None) is (write.compare_at is None)


def test_a_product_with_many_variants_takes_several_lines() -> None:
    writes = [PriceWrite(str(n), "7", "USD", 100, None, write_compare_at=False) for n in range(1, 2 * MAX_ARRAY + 2)]

    assert [len(line) for line in lines_of(writes)] == [MAX_ARRAY, MAX_ARRAY, 1]


def test_a_listing_that_comes_twice_is_refused() -> None:
    twice = [PriceWrite("1", "7", "USD", amount, None, write_compare_at=False) for amount in (100, 200)]

    with pytest.raises(Invalid, match="must not come twice"):
        lines_of(twice)


def test_the_mutation_is_that_of_the_other_path_under_the_name_of_its_file() -> None:
    tag = "01a20ddc-d60e-79ec-b056-b3f18a968446"

    told = mutation(tag)

    assert "Calibr_01a20ddcd60e79ecb056b3f18a968446" in told
    renamed = told.replace("Calibr_01a20ddcd60e79ecb056b3f18a968446", UPDATE_PRICES.name)
    assert re.sub(r"\s+", " ", renamed) == re.sub(r"\s+", " ", UPDATE_PRICES.text.strip())


def test_a_row_that_the_result_does_not_show_is_unknown_and_a_refused_one_is_rejected() -> None:
    good = PriceWrite("1", "7", "USD", 100, None, write_compare_at=False)
    bad = PriceWrite("2", "7", "USD", -1, None, write_compare_at=False)
    writer = BulkPriceWriter(cast("Any", None), cast("Any", None))
    view = bulk_write.BulkView("gid://shopify/BulkOperation/1", "COMPLETED", is_over=True, objects=0)

    results: list[WriteResult] = writer.results(view, [good, bad])

    assert [result.outcome for result in results] == [WriteOutcome.UNKNOWN, WriteOutcome.REJECTED]
