"""Work at the store that is under way when its token dies goes on with another one, and nothing is done twice."""

import time
from pathlib import Path

from merchants import Merchant

from calibr.connectors.port import Connector, PriceWrite, WriteOutcome
from calibr.connectors.shopify import ShopifyConnector
from calibr.db import Database
from calibr.http import ApiServices


def test_a_long_export_that_meets_a_dead_token_goes_on_with_the_same_operation(
    merchant: Merchant, database: Database, services: ApiServices, tmp_path: Path
) -> None:
    connection = merchant.connected_by_consent()
    worker = merchant.open(database, connection, services.vault, services.connectors)
    stages: list[str] = []

    def spoil(stage: str, _done: int, _total: int | None) -> None:
        if not stages:
            merchant.in_store("clock", {"advance_s": 3_700})
        stages.append(stage)

    stream = worker.read_catalog(tmp_path, spoil)
    rows = b"".join(stream.chunks()).count(b"\n")
    stream.close()
    worker.close()

    assert rows == 3
    assert len(stages) > 1
    assert [event["generation"] for event in merchant.events(database, "connection.token_issued")] == [1, 2]
    assert merchant.in_graphql("{ bulkOperations(first: 9) { nodes { status } } }") == {
        "bulkOperations": {"nodes": [{"status": "COMPLETED"}]}
    }


def test_writes_that_meet_a_dead_token_are_each_done_once(
    merchant: Merchant, database: Database, services: ApiServices, tmp_path: Path
) -> None:
    connection = merchant.connected_by_consent()
    worker = merchant.open(database, connection, services.vault, services.connectors)
    writes = writes_of_all(worker, tmp_path)
    merchant.in_store("clock", {"advance_s": 3_700})

    results = worker.write_prices(writes)
    worker.close()

    assert [result.outcome for result in results] == [WriteOutcome.WRITTEN] * 3
    journal = merchant.in_store("journal?after=0&limit=100")["writes"]
    assert len(journal) == 3
    assert [event["generation"] for event in merchant.events(database, "connection.token_issued")] == [1, 2]


def test_a_file_of_writes_that_outlives_its_token_is_worked_through_once(
    merchant: Merchant, database: Database, services: ApiServices, tmp_path: Path
) -> None:
    connection = merchant.connected_by_consent()
    worker = merchant.open(database, connection, services.vault, services.connectors)
    assert isinstance(worker, ShopifyConnector)
    assert worker.bulk is not None
    writes = writes_of_all(worker, tmp_path)

    begun = worker.bulk.start("dead-token-test", writes, until=time.monotonic() + 20)
    assert begun.operation_id is not None
    merchant.in_store("clock", {"advance_s": 3_700})
    while not (view := worker.bulk.look(begun.operation_id)).is_over:
        time.sleep(0.05)
    results = worker.bulk.results(view, writes)
    worker.close()

    assert [result.outcome for result in results] == [WriteOutcome.WRITTEN] * 3
    assert len(merchant.in_store("journal?after=0&limit=100")["writes"]) == 3
    assert [event["generation"] for event in merchant.events(database, "connection.token_issued")] == [1, 2]


def writes_of_all(worker: Connector, folder: Path) -> list[PriceWrite]:
    """A new price for everything that the store has."""
    stream = worker.read_catalog(folder, lambda *_: None)
    rows = [line.split(b",")[:2] for line in b"".join(stream.chunks()).splitlines()]
    stream.close()
    return [
        PriceWrite(variant.decode(), group.decode(), "USD", 1_234, None, write_compare_at=False)
        for variant, group in rows
    ]
