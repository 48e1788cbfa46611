"""The life of a bulk operation as seen by whoever waits for it."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from scripted_store import ScriptedStore, answers, breaks, fails

from calibr.connectors.port.reading import ReadingOperation
from calibr.connectors.shopify.bulk import RUNS, SLOT_PATIENCE_S, STAGE, STALL_S, BulkQuery, BulkResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import CATALOG
from calibr.connectors.shopify.errors import CallError

START, POLL, FIND = "CalibrStartBulkQuery", "CalibrBulkOperation", "CalibrBulkOperations"
CANCEL = "CalibrCancelBulk"
NOTED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
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


def operations(*names: str, more: bool = False) -> dict[str, Any]:
    nodes = [
        {"id": f"gid://shopify/BulkOperation/{n}", "query": f"query {name} {{ products }}", "status": "RUNNING"}
        for n, name in enumerate(names, 70)
    ]
    return {"bulkOperations": {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": "next"}}}


class Log:
    """Notes in memory what a sync notes in the database."""

    def __init__(self, noted: ReadingOperation | None = None) -> None:
        self.noted = noted
        self.since: datetime | None = None
        self.told: list[str] = []

    def begin(self) -> ReadingOperation:
        self.noted = ReadingOperation(f"Run_{len([t for t in self.told if t == 'begin']) + 1}_x", NOTED_AT)
        self.told.append("begin")
        return self.noted

    def started(self, operation_id: str) -> None:
        self.told.append(operation_id)


@pytest.fixture
def clock(client: ShopifyClient) -> Clock:
    made = Clock()
    client.throttle.clock = made
    return made


@pytest.fixture
def bulk(store: ScriptedStore, client: ShopifyClient, clock: Clock) -> BulkQuery:
    store.on(START, started())
    store.on(FIND, operations())
    store.on(CANCEL, {"bulkOperationCancel": {"bulkOperation": None, "userErrors": []}})
    return BulkQuery(client, clock.sleep)


def run(bulk: BulkQuery) -> tuple[BulkResult, list[int]]:
    seen: list[int] = []

    def note(stage: str, done: int, _total: int | None) -> None:
        if stage == STAGE:
            seen.append(done)

    return bulk.run(CATALOG, note, Log()), seen


def resume(bulk: BulkQuery, log: Log) -> BulkResult | None:
    return bulk.resume(lambda *_: None, log)


def test_follows_an_operation_to_its_end(store: ScriptedStore, bulk: BulkQuery) -> None:
    done = state("COMPLETED", 5, url="https://files.example/x", fileSize="1234")
    store.on(POLL, state("CREATED"), state("RUNNING", 2), state("RUNNING", 4), done)

    result, seen = run(bulk)

    assert result == BulkResult(GID, "https://files.example/x", 1234, 5)
    assert seen == [0, 2, 4, 5]
    (sent,) = store.sent(START)
    assert sent.variables == {"query": CATALOG.text.strip().replace("CalibrCatalog", "Run_1_x")}
    assert {call.variables["id"] for call in store.sent(POLL)} == {GID}


def test_an_empty_store_has_no_file(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("COMPLETED", 0))

    assert run(bulk)[0] == BulkResult(GID, None, None, 0)


def test_objects_without_a_file_are_an_error(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("COMPLETED", 3))

    with pytest.raises(CallError, match="3 objects but no address"):
        run(bulk)


def test_a_start_whose_answer_is_lost_is_looked_for_and_only_then_started_again(
    store: ScriptedStore, bulk: BulkQuery
) -> None:
    store.on(START, breaks(httpx2.ReadTimeout), fails(502), answers(started()))
    store.on(POLL, state("COMPLETED"))

    run(bulk)

    told = [call.operation for call in store.calls if call.operation in {START, FIND}]
    assert told == [START, FIND, START, FIND, START]


def test_a_start_that_began_without_an_answer_is_not_started_twice(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(START, breaks(httpx2.ReadTimeout))
    store.on(FIND, operations("Run_10_x", more=True), operations("Other", "Run_1_x"))
    store.on(POLL, state("COMPLETED"))
    log = Log()

    result = bulk.run(CATALOG, lambda *_: None, log)

    assert len(store.sent(START)) == 1
    assert result.operation_id == "gid://shopify/BulkOperation/71"
    assert log.told == ["begin", "gid://shopify/BulkOperation/71"]
    assert store.sent(FIND)[1].variables["after"] == "next"
    assert "created_at:>='2026-11-24T11:00:00Z'" in store.sent(FIND)[0].variables["query"]


def test_a_noted_operation_is_followed_and_none_is_started(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(POLL, state("RUNNING", 1), state("COMPLETED", 2, url="https://whole", fileSize="9"))

    result = resume(bulk, Log(ReadingOperation("Run_3_x", NOTED_AT, GID)))

    assert result == BulkResult(GID, "https://whole", 9, 2)
    assert store.sent(START) == store.sent(FIND) == []


def test_a_noted_operation_without_an_id_is_found_by_its_name(store: ScriptedStore, bulk: BulkQuery) -> None:
    store.on(FIND, operations("Run_4_x", "Run_3_x"))
    store.on(POLL, state("COMPLETED"))
    log = Log(ReadingOperation("Run_3_x", NOTED_AT))

    assert resume(bulk, log) is not None

    assert log.told == ["gid://shopify/BulkOperation/71"]
    assert store.sent(POLL)[0].variables == {"id": "gid://shopify/BulkOperation/71"}


def test_what_was_noted_and_never_began_is_no_operation(store: ScriptedStore, bulk: BulkQuery) -> None:
    assert resume(bulk, Log(ReadingOperation("Run_3_x", NOTED_AT))) is None
    assert resume(bulk, Log()) is None
    assert store.sent(START) == []


@pytest.mark.parametrize(
    "ending",
    [
        state("FAILED", 3, errorCode="TIMEOUT", partialDataUrl="https://half"),
        state("EXPIRED"),
        state("CANCELED"),
        {"bulkOperation": None},
    ],
)
def test_a_noted_operation_that_brings_nothing_is_left(
    store: ScriptedStore, bulk: BulkQuery, ending: dict[str, Any]
) -> None:
    store.on(POLL, ending)

    assert resume(bulk, Log(ReadingOperation("Run_3_x", NOTED_AT, GID))) is None


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
    assert [call.variables for call in store.sent(CANCEL)] == [{"id": GID}]
