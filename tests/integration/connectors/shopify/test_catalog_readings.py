"""Catalog readings against the sandbox store: what changed, and operations that outlive their worker."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sandbox_process import Sandbox, sandbox

from calibr.connectors.port import STAGE_COLUMNS, CatalogStream
from calibr.connectors.port.reading import ReadingOperation
from calibr.connectors.shopify import ShopifyConnector
from calibr.connectors.shopify.bulk import STAGE, STARTING
from calibr.core.ids import new_uuid

LIST = """query List { bulkOperations(first: 50, sortKey: CREATED_AT, reverse: true) {
  nodes { id status query } } }"""


class Killed(BaseException):
    """The worker is gone."""


class Log:
    """Notes in memory what a sync notes in the database."""

    def __init__(self, since: datetime | None = None, *, dies_when_started: bool = False) -> None:
        self.since = since
        self.dies_when_started = dies_when_started
        self.noted: ReadingOperation | None = None
        self.begun = 0
        self._tag = new_uuid().hex

    def begin(self) -> ReadingOperation:
        self.begun += 1
        self.noted = ReadingOperation(f"CalibrCatalog_{self.begun}_{self._tag}", datetime.now(UTC))
        return self.noted

    def started(self, operation_id: str) -> None:
        if self.dies_when_started:
            raise Killed
        assert self.noted is not None
        self.noted = ReadingOperation(self.noted.name, self.noted.begun_at, operation_id)


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Nobody watches."""


def rows_of(stream: CatalogStream) -> list[dict[str, str]]:
    try:
        text = b"".join(stream.chunks()).decode()
    finally:
        stream.close()
    return list(csv.DictReader(io.StringIO(text), STAGE_COLUMNS))


def call(store: Sandbox, document: str) -> dict[str, Any]:
    """Call the store past the connector."""
    path, token = "/admin/api/2026-10/graphql.json", {"X-Shopify-Access-Token": "shpat_test"}
    found: dict[str, Any] = store.http.post(path, json={"query": document}, headers=token).raise_for_status().json()
    return found


def operations(store: Sandbox, log: Log) -> list[dict[str, Any]]:
    """The operations in the store that carry a name of this reading."""
    answer = call(store, LIST)
    assert log.noted is not None
    tag = log.noted.name.rpartition("_")[2]
    return [node for node in answer["data"]["bulkOperations"]["nodes"] if tag in node["query"]]


@pytest.fixture
def slow_store(tmp_path: Path) -> Iterator[Sandbox]:
    """A store whose operations take a second."""
    with sandbox(tmp_path, "--products", "200", "--bulk-delay", "0.5") as running:
        yield running


def test_a_reading_of_what_changed_brings_whole_groups_and_no_others(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--products", "1500", "--seed", "9", "--bulk-delay", "0") as store:
        connector = store.connect()
        _read_what_changed(connector, store, tmp_path)
        connector.close()


def _read_what_changed(connector: ShopifyConnector, store: Sandbox, tmp_path: Path) -> None:
    everything = rows_of(connector.read_catalog(tmp_path, silent))
    by_group: dict[str, list[str]] = {}
    for row in everything:
        by_group.setdefault(row["group_external_id"], []).append(row["external_id"])
    largest = max(by_group, key=lambda group: len(by_group[group]))
    since = datetime.now(UTC)
    store.edit(by_group[largest][-1], price="123.45")

    changed = rows_of(connector.read_catalog_noted(tmp_path, silent, Log(since)))

    assert len(by_group[largest]) > 250, "the store has no product of more than one page"
    assert {row["external_id"] for row in changed} >= set(by_group[largest])
    for group in {row["group_external_id"] for row in changed}:
        assert {row["external_id"] for row in changed if row["group_external_id"] == group} == set(by_group[group])
    assert len(changed) < len(everything)
    assert next(r["unit_amount"] for r in changed if r["external_id"] == by_group[largest][-1]) == "12345"


def test_a_reading_of_which_nothing_changed_is_empty(connector: ShopifyConnector, tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=1)

    assert rows_of(connector.read_catalog_noted(tmp_path, silent, Log(later))) == []


def test_the_store_counts_its_variants(connector: ShopifyConnector) -> None:
    assert connector.count_listings() == 1500


@pytest.mark.parametrize(("moment", "begun"), [("starting", 2), ("started", 1), ("following", 1)])
def test_whoever_takes_over_goes_on_with_the_same_operation(
    slow_store: Sandbox, tmp_path: Path, moment: str, begun: int
) -> None:
    """A worker that dies before it sent anything leaves a note of nothing."""
    connector = slow_store.connect()
    log = Log(dies_when_started=moment == "started")

    def dies(stage: str, _done: int, _total: int | None) -> None:
        if (stage, moment) in {(STARTING, "starting"), (STAGE, "following")}:
            raise Killed

    with pytest.raises(Killed):
        connector.read_catalog_noted(tmp_path, dies, log)
    connector.close()

    log.dies_when_started = False
    successor = slow_store.connect()
    rows = rows_of(successor.read_catalog_noted(tmp_path, silent, log))
    successor.close()

    assert len(rows) == 200
    assert log.begun == begun
    assert [operation["status"] for operation in operations(slow_store, log)] == ["COMPLETED"]


def test_a_start_whose_answer_is_lost_leaves_one_operation(slow_store: Sandbox, tmp_path: Path) -> None:
    connector = slow_store.connect()
    log = Log()
    slow_store.fault("drop_after_commit", mutations_only=True, count=1)

    rows = rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    connector.close()

    assert len(rows) == 200
    assert slow_store.control("GET", "stats")["faults_injected"] == {"drop_after_commit": 1}
    assert len(operations(slow_store, log)) == 1


def test_a_result_that_is_gone_is_read_by_a_new_operation(slow_store: Sandbox, tmp_path: Path) -> None:
    connector = slow_store.connect()
    log = Log()
    rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    for result in (tmp_path / "shop.db.bulk").glob("*.jsonl"):
        result.unlink()

    rows = rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    connector.close()

    assert len(rows) == 200
    assert log.begun == 2


def test_a_partial_result_is_never_taken_for_the_whole(slow_store: Sandbox, tmp_path: Path) -> None:
    connector = slow_store.connect()
    log = Log()
    slow_store.control("POST", "bulk/fail", {"after": 50})

    rows = rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    connector.close()

    assert len(rows) == 200
    assert log.begun == 2
    assert sorted(operation["status"] for operation in operations(slow_store, log)) == ["COMPLETED", "FAILED"]
    assert log.noted is not None


def test_a_noted_operation_that_has_expired_is_read_anew(slow_store: Sandbox, tmp_path: Path) -> None:
    connector = slow_store.connect()
    log = Log()
    rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    assert log.noted is not None
    slow_store.control("POST", f"bulk/expire/{log.noted.operation_id}")

    rows = rows_of(connector.read_catalog_noted(tmp_path, silent, log))
    connector.close()

    assert len(rows) == 200
    assert log.begun == 2


def test_a_reading_waits_while_five_others_hold_the_slots(slow_store: Sandbox, tmp_path: Path) -> None:
    mutation = """mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") {
      userErrors { code } } }"""
    for _ in range(5):
        slow_store.http.post(
            "/admin/api/2026-10/graphql.json",
            json={"query": mutation},
            headers={"X-Shopify-Access-Token": "shpat_test"},
        ).raise_for_status()
    connector = slow_store.connect()
    log = Log()
    stages: list[str] = []

    rows = rows_of(connector.read_catalog_noted(tmp_path, lambda stage, *_: stages.append(stage), log))
    connector.close()

    assert len(rows) == 200
    assert log.begun == 1
    assert stages.count(STARTING) > 1


def test_collections_and_metafields_of_the_store_are_attributes(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--products", "300", "--bulk-delay", "0") as store:
        connector = store.connect(product_metafields=["custom.material", "custom.weight"])
        plain = rows_of(connector.read_catalog(tmp_path, silent))
        groups = list(dict.fromkeys(row["group_external_id"] for row in plain))
        store.control("POST", "collections", {"handle": "outlet", "title": "Outlet", "products": groups[:2]})
        for key, kind, value in (("material", "single_line_text_field", "Wool"), ("weight", "number_decimal", "1.50")):
            field = {"product": groups[1], "namespace": "custom", "key": key, "type": kind, "value": value}
            store.control("POST", "metafields", field)

        rows = rows_of(connector.read_catalog(tmp_path, silent))
        connector.close()

    assert len(rows) == len(plain) == 300
    found = {group: set() for group in groups[:3]}  # type: dict[str, set[tuple[str, object]]]
    for row in rows:
        if row["group_external_id"] in found:
            told = json.loads(row["attributes"])
            found[row["group_external_id"]] |= {item for item in told.items() if not item[0].startswith("option.")}
    outlet = ("collection.outlet", "Outlet")
    assert found == {
        groups[0]: {outlet},
        groups[1]: {outlet, ("metafield.custom.material", "Wool"), ("metafield.custom.weight", 1.5)},
        groups[2]: set(),
    }


def test_a_deleted_product_is_in_no_reading_and_in_no_count(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--products", "100", "--bulk-delay", "0") as store:
        connector = store.connect()
        group = rows_of(connector.read_catalog(tmp_path, silent))[0]["group_external_id"]

        gone = store.control("DELETE", f"products/{group}")["deleted_variants"]

        rows = rows_of(connector.read_catalog(tmp_path, silent))
        assert connector.count_listings() == len(rows) == 100 - gone
        assert group not in {row["group_external_id"] for row in rows}
        connector.close()
