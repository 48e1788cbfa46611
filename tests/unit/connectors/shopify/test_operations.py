"""A bulk operation is found by the name in its text, whatever the time zone in which its beginning was noted."""

from datetime import datetime, timedelta, timezone
from typing import Any, cast

from calibr.connectors.shopify.operations import find_operation

NOTED = datetime(2026, 11, 24, 3, 0, tzinfo=timezone(timedelta(hours=10)))


class Store:
    """In the place of the client: two pages of operations."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def insist(self, _document: object, variables: dict[str, Any], **_: object) -> dict[str, Any]:
        self.asked.append(variables)
        name = "Calibr_b" if variables["after"] else "Calibr_a"
        info = {"hasNextPage": not variables["after"], "endCursor": "c1"}
        return {"bulkOperations": {"nodes": [{"id": name, "query": f"mutation {name} {{ x }}"}], "pageInfo": info}}


def find(store: Store, name: str) -> dict[str, Any] | None:
    return find_operation(cast("Any", store), "mutation", name, NOTED, 1.0)


def test_the_time_is_asked_for_in_utc() -> None:
    store = Store()

    find(store, "Calibr_a")

    assert store.asked == [
        {"query": "operation_type:mutation created_at:>='2026-11-23T17:00:00Z'", "after": None},
    ]


def test_it_is_looked_for_on_every_page_and_nothing_else_is_taken_for_it() -> None:
    store = Store()

    found = find(store, "Calibr_b")

    assert found is not None
    assert found["id"] == "Calibr_b"
    assert find(store, "Calibr_c") is None
    assert [asked["after"] for asked in store.asked] == [None, "c1", None, "c1"]
