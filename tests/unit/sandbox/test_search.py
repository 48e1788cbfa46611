"""The `query:` argument."""

import pytest

from calibr_sandbox.search import BULK_FIELDS, PRODUCT_FIELDS, VARIANT_FIELDS, SearchError, parse_search


def test_terms_are_joined_by_and() -> None:
    found = parse_search('vendor:"Acme Goods" AND id:>=7 status:active', PRODUCT_FIELDS)

    assert found.sql == "1 AND p.vendor = ? COLLATE NOCASE AND p.id >= ? AND p.status = ? COLLATE NOCASE"
    assert found.parameters == ("Acme Goods", 7, "active")


def test_or_binds_less_than_and_and_not_most() -> None:
    found = parse_search("id:1 OR id:2 -status:draft NOT (id:3 OR id:4)", PRODUCT_FIELDS)

    status = "p.status = ? COLLATE NOCASE"
    assert found.sql == f"1 AND ((p.id = ?) OR (p.id = ? AND NOT ({status}) AND NOT ((((p.id = ?) OR (p.id = ?))))))"
    assert found.parameters == (1, 2, "draft", 3, 4)


@pytest.mark.parametrize(
    "query", ["(id:1", "id:1)", "id:1 OR", "AND id:1", "()", "NOT", "(" * 500 + "id:1" + ")" * 500]
)
def test_a_search_that_is_not_whole_is_refused(query: str) -> None:
    with pytest.raises(SearchError, match="The sandbox"):
        parse_search(query, PRODUCT_FIELDS)


def test_a_time_without_zone_is_utc() -> None:
    found = parse_search("updated_at:>2026-01-01T00:00:00Z updated_at:<2026-01-02", VARIANT_FIELDS)

    assert found.parameters == (1_767_225_600, 1_767_312_000)


def test_no_query_selects_everything() -> None:
    assert parse_search(None, PRODUCT_FIELDS).sql == "1"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour:red", "cannot search by `colour`; it knows"),
        ("shirt", "cannot read the search query from here: 'shirt'"),
        ("id:abc", "'abc' is not a number"),
        ("created_at:not-a-date", "Invalid timestamp for query filter `created_at`."),
    ],
)
def test_what_is_not_understood_is_refused_instead_of_ignored(query: str, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        parse_search(query, BULK_FIELDS)
