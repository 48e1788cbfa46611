"""The life of a bulk operation as seen by whoever waits for it."""

from typing import Any

import httpx2
import pytest
from scripted_store import ScriptedStore, answers, breaks, fails

from calibr.connectors.shopify.bulk import RUNS, SLOT_PATIENCE_S, STALL_S, BulkQuery, BulkResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import CATALOG
from calibr.connectors.shopify.errors import CallError

START, POLL = "CalibrStartBulkQuery", "CalibrBulkOperation"
GID = "gid://shopify/BulkOperation/7"
BUSY = {"field": None, "code": "OPERATION_IN_PROGRESS", "message": "already in progress: gid://x"}


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def started(*errors: dict[str, Any]) -> dict[str, Any]:
    operation = None if errors else {"id": GID, "status": "CREATED"}
    return {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": list(errors)}}


def state(status: str, objects: int = 0, **changes: object) -> dict[str, Any]:
    values: dict[str, Any] = {"id": GID, "errorCode": None, "fileSize": None, "url": None}
    return {"bulkOperation": values | {"status": status, "objectCount": str(objects)} | changes}


@pytest.fixture
def clock(client: ShopifyClient) -> Clock:
    made = Clock()
    client.throttle.clock = made
    return made


@pytest.fixture
def bulk(store: ScriptedStore, client: ShopifyClient, clock: Clock) -> BulkQuery:
    store.on(START, started())
    return BulkQuery(client, clock.sleep)


def run(bulk: BulkQuery) -> tuple[BulkResult, list[int]]:
    seen: list[int] = []
    return bulk.run(CATALOG, lambda _stage, done, _total: seen.append(done)), seen


def test_follows_an_operation_to_its_end(store: ScriptedStore, bulk: BulkQuery) -> None:
    done = state("COMPLETED", 5, url="https://files.example/x", fileSize="1234")
    store.on(POLL, state("CREATED"), state("RUNNING", 2), state("RUNNING", 4), done)

    result, seen = run(bulk)

    assert result == BulkResult(GID, "https://files.example/x", 1234, 5)
    assert seen == [0, 2, 4, 5]
    assert store.sent(START)[0].variables == {"query": CATALOG.text}
    assert {call.variables["id"] for call in store.sent(POLL)} == {GID}


def test_an_empty_store_has_no_file(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("COMPLETED", 0))

    assert run(bulk)[0] == BulkResult(GID, None, None, 0)


def test_objects_without_a_file_are_an_error(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("COMPLETED", 3))

    with pytest.raises(CallError, match="3 objects but no address"):
        run(bulk)


def test_a_start_whose_answer_is_lost_is_started_again(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(START, breaks(httpx2.ReadTimeout), fails(502), answers(started()))
    store.on(POLL, state("COMPLETED"))

    run(bulk)

    assert len(store.sent(START)) == 3


def test_waits_for_a_free_slot(store: ScriptedStore, bulk: BulkQuery, clock: Clock) -> None:
    store.on(START, started(BUSY), started(BUSY), started())
    store.on(POLL, state("COMPLETED"))

    run(bulk)

    assert len(store.sent(START)) == 3
    assert clock.now - 1_000.0 >= 3


def test_gives_up_on_a_slot_that_never_comes_free(store: ScriptedStore, bulk: BulkQuery, clock: Clock) -> None:
    store.on(START, started(BUSY))

    with pytest.raises(CallError) as caught:
        run(bulk)

    assert (caught.value.code, caught.value.retryable) == ("upstream.throttled", True)
    assert clock.now - 1_000.0 <= SLOT_PATIENCE_S


def test_a_query_that_the_store_does_not_take_is_told(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(
        START, started({"field": ["query"], "code": "INVALID", "message": "Bulk queries must contain a connection"})
    )

    with pytest.raises(CallError, match="Bulk queries must contain a connection") as caught:
        run(bulk)

    assert not caught.value.retryable


@pytest.mark.parametrize(
    "ending", [state("FAILED", 3, errorCode="TIMEOUT", partialDataUrl="https://x"), state("EXPIRED")]
)
def test_a_failed_operation_is_run_again_and_its_partial_data_left_alone(
    store: ScriptedStore, bulk: BulkQuery, ending: dict[str, Any]
) -> None:
    store.on(POLL, ending, state("COMPLETED", 1, url="https://whole", fileSize="1"))

    assert run(bulk)[0].url == "https://whole"
    assert len(store.sent(START)) == 2


def test_an_operation_that_fails_every_time_is_given_up(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("FAILED", 3, errorCode="INTERNAL_SERVER_ERROR"))

    with pytest.raises(CallError, match="FAILED, INTERNAL_SERVER_ERROR") as caught:
        run(bulk)

    assert (caught.value.code, caught.value.retryable) == ("upstream.unavailable", True)
    assert len(store.sent(START)) == RUNS


def test_a_missing_scope_is_not_tried_again(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("FAILED", errorCode="ACCESS_DENIED"))

    with pytest.raises(CallError, match="read_products") as caught:
        run(bulk)

    assert (caught.value.code, caught.value.retryable) == ("upstream.unauthorized", False)
    assert len(store.sent(START)) == 1


def test_a_cancel_in_the_store_is_respected(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("CANCELING"), state("CANCELED"))

    with pytest.raises(CallError, match="canceled in the store"):
        run(bulk)

    assert len(store.sent(START)) == 1


def test_a_break_while_polling_keeps_the_operation(store: ScriptedStore, bulk: BulkQuery) -> None:
    down = breaks(httpx2.ConnectError)
    done = answers(state("COMPLETED", 1, url="https://whole", fileSize="1"))
    store.on(POLL, answers(state("RUNNING")), *[down] * 9, fails(503), done)

    assert run(bulk)[0].url == "https://whole"
    assert len(store.sent(START)) == 1


def test_a_token_that_dies_while_polling_ends_the_wait(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, answers(state("RUNNING")), fails(401))

    with pytest.raises(CallError) as caught:
        run(bulk)

    assert caught.value.code == "upstream.unauthorized"


def test_an_operation_that_stands_still_is_given_up(store: ScriptedStore, bulk: BulkQuery, clock: Clock) -> None:
    store.on(POLL, state("CREATED"))

    with pytest.raises(CallError, match="stands still at CREATED"):
        run(bulk)

    assert STALL_S < clock.now - 1_000.0 < STALL_S + 60
