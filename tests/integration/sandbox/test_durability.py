"""What was acknowledged survives: the sandbox runs as a process of its own and is killed in the middle of work."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from calibr_sandbox.client import SandboxClient

UPDATE = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $id, variants: $rows) { userErrors { message } } }"""
RUN = 'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { bulkOperation { id } } }'
STAGE = """mutation { stagedUploadsCreate(input: [{resource: BULK_MUTATION_VARIABLES, filename: "p.jsonl",
  mimeType: "text/jsonl"}]) { stagedTargets { url } } }"""
IMPORT = """mutation($mutation: String!, $path: String!) { bulkOperationRunMutation(mutation: $mutation,
  stagedUploadPath: $path) { bulkOperation { id } userErrors { message } } }"""
PRODUCTS = "{ products(first: 20) { nodes { id variants(first: 4) { nodes { id } } } } }"


@contextmanager
def _serving(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], SandboxClient, dict[str, Any]]]:
    command = [sys.executable, "-m", "calibr_sandbox", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            with SandboxClient(ready["url"]) as client:
                yield process, client, ready
        finally:
            process.kill()


def _write_until_it_dies(client: SandboxClient, acknowledged: list[tuple[str, str]]) -> None:
    nodes = client.graphql(PRODUCTS).data["products"]["nodes"]
    for number in range(100_000):
        product = nodes[number % len(nodes)]
        price = f"{number}.99"
        rows = [{"id": variant["id"], "price": price} for variant in product["variants"]["nodes"]]
        try:
            answer = client.graphql(UPDATE, {"id": product["id"], "rows": rows})
        except (OSError, http.client.HTTPException):
            return
        assert answer.data["productVariantsBulkUpdate"]["userErrors"] == []
        acknowledged.extend((row["id"].rpartition("/")[2], price) for row in rows)


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    options = ("--db", str(tmp_path / "shop.db"), "--products", "100", "--plan", "enterprise")
    acknowledged: list[tuple[str, str]] = []
    with _serving(*options) as (process, client, ready):
        assert ready["loaded"]["variants"] == 100
        writer = threading.Thread(target=_write_until_it_dies, args=(client, acknowledged))
        writer.start()
        deadline = time.monotonic() + 15
        while len(acknowledged) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        writer.join()

    with _serving(*options) as (_, client, ready):
        assert ready["loaded"] is None
        writes = client.request("GET", "/sandbox/journal").body["writes"]
        journal = [(str(write["variant_id"]), write["price"]) for write in writes]
        last = dict(journal)
        stored = {
            variant: client.request("GET", f"/sandbox/variants/{variant}").body["price"] for variant in list(last)[:20]
        }

    assert len(acknowledged) >= 200
    assert journal[: len(acknowledged)] == acknowledged
    assert len(journal) - len(acknowledged) <= 4  # the one call whose answer the kill may have taken
    assert stored == {variant: last[variant] for variant in stored}


def _await_status(client: SandboxClient, gid: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    query = f'{{ bulkOperation(id: "{gid}") {{ status objectCount url }} }}'
    while True:
        found: dict[str, Any] = client.graphql(query).data["bulkOperation"]
        if found["status"] == status:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


@pytest.mark.parametrize("status", ["CREATED", "RUNNING"])
def test_an_operation_that_was_open_when_the_server_died_is_taken_up_again(tmp_path: Path, status: str) -> None:
    options = ("--db", str(tmp_path / "shop.db"), "--products", "100")
    with _serving(*options, "--bulk-delay", "1") as (process, client, _):
        gid = client.graphql(RUN).data["bulkOperationRunQuery"]["bulkOperation"]["id"]
        _await_status(client, gid, status)
        os.kill(process.pid, signal.SIGKILL)
    leftover = tmp_path / "shop.db.bulk" / "leftover.jsonl"
    leftover.write_text("half a li")

    with _serving(*options, "--bulk-delay", "0") as (_, client, ready):
        found = _await_status(client, gid, "COMPLETED")
        lines = client.request("GET", found["url"].removeprefix(ready["url"])).body

    assert found["url"].startswith(ready["url"])
    assert lines.count(b"\n") == int(found["objectCount"]) > 0
    assert not leftover.exists()


def _upload(client: SandboxClient, lines: list[dict[str, Any]]) -> str:
    """Stage a file by PUT and return its path."""
    target = client.graphql(STAGE).data["stagedUploadsCreate"]["stagedTargets"][0]
    parts = urlsplit(target["url"])
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        connection.request("PUT", f"{parts.path}?{parts.query}", "\n".join(map(json.dumps, lines)))
        assert connection.getresponse().status == 200
    return parts.path.removeprefix("/sandbox/staged/")


def test_a_bulk_mutation_goes_on_after_kill_9_and_runs_no_line_twice(tmp_path: Path) -> None:
    options = ("--db", str(tmp_path / "shop.db"), "--products", "100", "--bulk-delay", "0")
    with _serving(*options) as (process, client, _):
        nodes = client.graphql(PRODUCTS).data["products"]["nodes"]
        product, variant = nodes[0]["id"], nodes[0]["variants"]["nodes"][0]["id"]
        lines = [{"id": product, "rows": [{"id": variant, "price": f"{number}.01"}]} for number in range(6_000)]
        variables = {"mutation": UPDATE, "path": _upload(client, lines)}
        gid = client.graphql(IMPORT, variables).data["bulkOperationRunMutation"]["bulkOperation"]["id"]
        _await_status(client, gid, "RUNNING")
        os.kill(process.pid, signal.SIGKILL)
    (tmp_path / "shop.db.staged" / "half.part").write_text("half a fi")

    with _serving(*options) as (_, client, ready):
        resumed_at = client.request("GET", "/sandbox/stats").body["accepted_variant_writes"]
        found = _await_status(client, gid, "COMPLETED")
        answers = client.request("GET", found["url"].removeprefix(ready["url"])).body.splitlines()
        writes = client.request("GET", "/sandbox/journal").body["writes"]

    assert resumed_at < 6_000
    assert sorted(json.loads(answer)["__lineNumber"] for answer in answers) == list(range(6_000))
    assert [entry["price"] for entry in writes] == [f"{number}.01" for number in range(6_000)]
    assert not list((tmp_path / "shop.db.staged").glob("*.part"))


def test_a_server_that_is_asked_to_stop_stops_cleanly(tmp_path: Path) -> None:
    with _serving("--db", str(tmp_path / "shop.db"), "--bulk-delay", "30") as (process, client, ready):
        client.graphql(RUN)
        process.terminate()

        assert process.wait(timeout=10) == 0
        assert ready == {"event": "ready", "url": ready["url"], "loaded": None}
    assert not (tmp_path / "shop.db-wal").exists()
