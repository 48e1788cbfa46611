"""Bulk mutations from the staged file to the answers per line, and that a line is the same as a direct call."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from calibr_sandbox.testing import StartedSandbox, Starter

SHIRT, MUG = "gid://shopify/Product/8100000000001", "gid://shopify/Product/8100000000002"
RED, BLUE, CUP = (f"gid://shopify/ProductVariant/4510000000000{number}" for number in (1, 2, 3))
FIELDS = "id status type errorCode completedAt objectCount rootObjectCount fileSize url partialDataUrl query"
UPDATE = """mutation Update($id: ID!, $rows: [ProductVariantsBulkInput!]!, $partial: Boolean) {
  productVariantsBulkUpdate(productId: $id, variants: $rows, allowPartialUpdates: $partial) {
    productVariants { id price compareAtPrice } userErrors { field message code } } }"""
RUN = f"""mutation($mutation: String!, $path: String!, $client: String) {{
  bulkOperationRunMutation(mutation: $mutation, stagedUploadPath: $path, clientIdentifier: $client) {{
    bulkOperation {{ {FIELDS} }} userErrors {{ field message code }} }} }}"""
READ = f"query($id: ID!) {{ bulkOperation(id: $id) {{ {FIELDS} }} }}"
CANCEL = "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }"
LINES = [
    {"id": SHIRT, "rows": [{"id": RED, "price": "8.00"}, {"id": BLUE, "compareAtPrice": None}]},
    {"id": MUG, "rows": [{"id": CUP, "price": "-1"}]},
    {"id": MUG, "rows": [{"id": CUP, "price": "6.50", "compareAtPrice": "7.50"}]},
]


def stage(sandbox: StartedSandbox, lines: list[dict[str, Any]] | bytes, path: str = "tmp/1/bulk/a/file.jsonl") -> str:
    content = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
    sandbox.shop.staged.put(path, content)
    return path


def run(sandbox: StartedSandbox, path: str, mutation: str = UPDATE, **variables: object) -> dict[str, Any]:
    answer = sandbox.client.graphql(RUN, {"mutation": mutation, "path": path} | variables)
    payload: dict[str, Any] = answer.data["bulkOperationRunMutation"]
    return payload


def wait(sandbox: StartedSandbox, gid: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while (operation := sandbox.client.graphql(READ, {"id": gid}).data["bulkOperation"])["status"] != status:
        assert time.monotonic() < deadline, operation
        time.sleep(0.01)
    found: dict[str, Any] = operation
    return found


def answers(sandbox: StartedSandbox, url: str) -> list[dict[str, Any]]:
    body = sandbox.client.request("GET", url.removeprefix(sandbox.url)).body
    return sorted(map(json.loads, body.splitlines()), key=lambda line: line["__lineNumber"])


def journal(sandbox: StartedSandbox) -> list[dict[str, Any]]:
    writes = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    return [{name: value for name, value in entry.items() if name not in {"at", "at_ms"}} for entry in writes]


def test_each_line_is_answered_under_its_number(sandbox: StartedSandbox) -> None:
    created = run(sandbox, stage(sandbox, LINES))

    assert created["userErrors"] == []
    assert (created["bulkOperation"]["status"], created["bulkOperation"]["type"]) == ("CREATED", "MUTATION")
    assert created["bulkOperation"]["query"] == UPDATE
    done = wait(sandbox, created["bulkOperation"]["id"], "COMPLETED")
    assert (done["objectCount"], done["rootObjectCount"], done["partialDataUrl"]) == ("3", "3", None)
    first, second, third = answers(sandbox, done["url"])
    assert first["data"]["productVariantsBulkUpdate"] == {
        "productVariants": [
            {"id": RED, "price": "8.00", "compareAtPrice": None},
            {"id": BLUE, "price": "11.00", "compareAtPrice": None},
        ],
        "userErrors": [],
    }
    assert second["data"]["productVariantsBulkUpdate"]["userErrors"][0]["code"] == "GREATER_THAN_OR_EQUAL_TO"
    assert third["data"]["productVariantsBulkUpdate"]["productVariants"][0]["price"] == "6.50"


def test_a_line_answers_and_writes_what_a_direct_call_does(start: Starter, tmp_path: Path) -> None:
    direct, bulk = start(db=tmp_path / "direct.db"), start(db=tmp_path / "bulk.db")
    told = [direct.client.graphql(UPDATE, line).body["data"] for line in LINES]
    done = wait(bulk, run(bulk, stage(bulk, LINES))["bulkOperation"]["id"], "COMPLETED")

    assert [line["data"] for line in answers(bulk, done["url"])] == told
    assert journal(bulk) == journal(direct)
    assert [entry["variant_id"] % 10 for entry in journal(bulk)] == [1, 2, 3]


def test_slashes_are_escaped_as_the_real_file_has_them(sandbox: StartedSandbox) -> None:
    done = wait(sandbox, run(sandbox, stage(sandbox, LINES[2:]))["bulkOperation"]["id"], "COMPLETED")

    raw = sandbox.client.request("GET", done["url"].removeprefix(sandbox.url)).body

    assert b'"gid:\\/\\/shopify\\/ProductVariant\\/' in raw
    assert int(done["fileSize"]) == len(raw)


def test_a_bad_line_fails_alone(sandbox: StartedSandbox) -> None:
    good = json.dumps(LINES[2]).encode()
    path = stage(sandbox, b'nonsense\n\n[1]\n{"id": "x", "rows": []}\n{"id": 5}\n' + good)

    done = wait(sandbox, run(sandbox, path)["bulkOperation"]["id"], "COMPLETED")

    lines = answers(sandbox, done["url"])
    assert [line["__lineNumber"] for line in lines] == [0, 2, 3, 4, 5]
    assert [len(line.get("errors", [])) for line in lines] == [1, 1, 1, 2, 0]
    assert lines[1]["errors"] == [{"message": "a line must be a JSON object with the variables of the mutation"}]
    assert lines[2]["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"


def test_a_mutation_that_is_not_served_fails_on_every_line(sandbox: StartedSandbox) -> None:
    mutation = "mutation($n: String!) { customerCreate(name: $n) { customer { id } } }"

    done = wait(sandbox, run(sandbox, stage(sandbox, b"{}\n{}"), mutation)["bulkOperation"]["id"], "COMPLETED")

    assert {line["errors"][0]["message"] for line in answers(sandbox, done["url"])} == {
        "The sandbox does not serve `customerCreate`."
    }


def test_bulk_costs_nothing_beyond_its_start(sandbox: StartedSandbox) -> None:
    before = sandbox.client.request("GET", "/sandbox/stats").body["points_spent"]
    gid = run(sandbox, stage(sandbox, LINES * 50))["bulkOperation"]["id"]
    while sandbox.shop.bulk.find(int(gid.rpartition("/")[2])).status != "COMPLETED":  # type: ignore[union-attr]
        time.sleep(0.01)

    assert sandbox.client.request("GET", "/sandbox/stats").body["points_spent"] == before + 10


@pytest.mark.parametrize(
    ("content", "client", "error"),
    [
        (None, None, (None, "NO_SUCH_FILE", "The JSONL file could not be found.")),
        (b"", None, (None, "INVALID_STAGED_UPLOAD_FILE", "The input file is empty.")),
        (b"{}", "short", (["clientIdentifier"], "INVALID_MUTATION", "is too short (minimum is 10 characters)")),
        (b"{}", "x" * 256, (["clientIdentifier"], "INVALID_MUTATION", "is too long (maximum is 255 characters)")),
    ],
)
def test_what_cannot_start_says_why(
    sandbox: StartedSandbox, content: bytes | None, client: str | None, error: tuple[Any, str, str]
) -> None:
    path = "tmp/1/bulk/none" if content is None else stage(sandbox, content)

    refused = run(sandbox, path, client=client)

    assert refused["bulkOperation"] is None
    (told,) = refused["userErrors"]
    assert (told["field"], told["code"]) == error[:2]
    assert told["message"].startswith(error[2])


def test_five_imports_and_five_exports_may_be_open_and_a_missing_file_is_told_first(start: Starter) -> None:
    sandbox = start(bulk_delay_s=60)
    path = stage(sandbox, LINES)
    query = (
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { userErrors { code } } }'
    )
    gids = [run(sandbox, path, client="calibr-batch-1")["bulkOperation"]["id"] for _ in range(5)]
    exports = [sandbox.client.graphql(query).data["bulkOperationRunQuery"]["userErrors"] for _ in range(6)]

    sixth = run(sandbox, path)

    assert exports == [[]] * 5 + [[{"code": "OPERATION_IN_PROGRESS"}]]
    assert sixth["userErrors"] == [
        {
            "field": None,
            "message": f"A bulk mutation operation for this app and shop is already in progress: {', '.join(gids)}.",
            "code": "OPERATION_IN_PROGRESS",
        }
    ]
    assert run(sandbox, "tmp/none")["userErrors"][0]["code"] == "NO_SUCH_FILE"
    old = sandbox.client.graphql(RUN, {"mutation": UPDATE, "path": path}, "2025-10")
    assert old.data["bulkOperationRunMutation"]["userErrors"][0]["code"] == "OPERATION_IN_PROGRESS"


def test_a_caller_of_an_old_version_may_open_one_of_each_type(start: Starter) -> None:
    sandbox = start(bulk_delay_s=60, oldest_version="2025-10")
    path = stage(sandbox, LINES)
    run(sandbox, path)

    old = sandbox.client.graphql(RUN, {"mutation": UPDATE, "path": path}, "2025-10")

    assert old.data["bulkOperationRunMutation"]["userErrors"][0]["code"] == "OPERATION_IN_PROGRESS"
    assert run(sandbox, path)["userErrors"] == []


def test_a_canceled_import_publishes_what_it_had_done(start: Starter) -> None:
    sandbox = start(bulk_delay_s=60)
    gid = run(sandbox, stage(sandbox, LINES))["bulkOperation"]["id"]
    sandbox.client.request("POST", "/sandbox/bulk/advance")
    wait(sandbox, gid, "RUNNING")
    deadline = time.monotonic() + 15
    while sandbox.client.graphql(READ, {"id": gid}).data["bulkOperation"]["objectCount"] != "3":
        assert time.monotonic() < deadline
        time.sleep(0.01)

    canceling = sandbox.client.graphql(CANCEL, {"id": gid}).data["bulkOperationCancel"]
    canceled = wait(sandbox, gid, "CANCELED")

    assert canceling == {"bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    assert [canceled[name] for name in ("completedAt", "fileSize", "partialDataUrl")] == [None] * 3
    assert len(answers(sandbox, canceled["url"])) == 3


@pytest.mark.parametrize("kind", ["import", "export"])
def test_a_failed_operation_has_partial_data(sandbox: StartedSandbox, kind: str) -> None:
    failure = {"after": 2, "errorCode": "TIMEOUT"}
    assert sandbox.client.request("POST", "/sandbox/bulk/fail", failure).status == 200
    query = """mutation { bulkOperationRunQuery(query: "{ productVariants { edges { node { id } } } }") {
      bulkOperation { id } } }"""
    if kind == "import":
        gid = run(sandbox, stage(sandbox, LINES))["bulkOperation"]["id"]
    else:
        gid = sandbox.client.graphql(query).data["bulkOperationRunQuery"]["bulkOperation"]["id"]

    failed = wait(sandbox, gid, "FAILED")

    assert (failed["errorCode"], failed["url"], failed["objectCount"]) == ("TIMEOUT", None, "2")
    raw = sandbox.client.request("GET", failed["partialDataUrl"].removeprefix(sandbox.url)).body
    assert len(raw.splitlines()) == 2
    writes = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    assert len(writes) == (2 if kind == "import" else 0)


def test_an_expired_result_is_gone(sandbox: StartedSandbox) -> None:
    done = wait(sandbox, run(sandbox, stage(sandbox, LINES))["bulkOperation"]["id"], "COMPLETED")

    assert sandbox.client.request("POST", f"/sandbox/bulk/expire/{done['id']}").status == 200

    expired = sandbox.client.graphql(READ, {"id": done["id"]}).data["bulkOperation"]
    assert (expired["status"], expired["url"]) == ("EXPIRED", None)
    assert sandbox.client.request("GET", done["url"].removeprefix(sandbox.url)).status == 404
    assert sandbox.client.request("POST", "/sandbox/bulk/expire/7").status == 404


@pytest.mark.parametrize("body", [{"after": -1}, {"after": "x"}, {"errorCode": "NOPE"}])
def test_a_failure_that_cannot_be_is_refused(unchanged: StartedSandbox, body: dict[str, object]) -> None:
    assert unchanged.client.request("POST", "/sandbox/bulk/fail", body).status == 400


def test_the_current_operation_is_that_of_its_type(sandbox: StartedSandbox) -> None:
    gid = run(sandbox, stage(sandbox, LINES))["bulkOperation"]["id"]

    found = sandbox.client.graphql("{ m: currentBulkOperation(type: MUTATION) { id } q: currentBulkOperation { id } }")

    assert found.data == {"m": {"id": gid}, "q": None}
    listed = '{ bulkOperations(first: 5, query: "operation_type:mutation") { nodes { id type } } }'
    assert sandbox.client.graphql(listed).data["bulkOperations"]["nodes"] == [{"id": gid, "type": "MUTATION"}]


def test_products_are_made_in_bulk_and_shown_by_an_export(sandbox: StartedSandbox) -> None:
    create = """mutation($product: ProductCreateInput!) { productCreate(product: $product) {
      product { title variants(first: 1) { nodes { price } } } userErrors { field message } } }"""
    options = [{"name": "Size", "values": [{"name": "S"}, {"name": "M"}]}]
    lines = [{"product": {"title": "Lamp", "productOptions": options}}, {"product": {"title": ""}}]
    made = wait(sandbox, run(sandbox, stage(sandbox, lines), create)["bulkOperation"]["id"], "COMPLETED")
    good, bad = (line["data"]["productCreate"] for line in answers(sandbox, made["url"]))

    assert good == {"product": {"title": "Lamp", "variants": {"nodes": [{"price": "0.00"}]}}, "userErrors": []}
    assert (bad["product"], bad["userErrors"][0]["field"]) == (None, ["title"])
    export = """{ products(query: "handle:lamp") { edges { node { title
      options { name values optionValues { name hasVariants } }
      variants { edges { node { selectedOptions { value optionValue { name } } } } } id } } } }"""
    start_export = """mutation($query: String!) { bulkOperationRunQuery(query: $query) {
      bulkOperation { id } userErrors { message } } }"""
    begun = sandbox.client.graphql(start_export, {"query": export}).data["bulkOperationRunQuery"]
    shown = wait(sandbox, begun["bulkOperation"]["id"], "COMPLETED")
    body = sandbox.client.request("GET", shown["url"].removeprefix(sandbox.url)).body
    found = {line.get("title", "variant"): line for line in map(json.loads, body.splitlines())}

    values = [{"name": "S", "hasVariants": True}, {"name": "M", "hasVariants": False}]
    assert found["Lamp"]["options"] == [{"name": "Size", "values": ["S"], "optionValues": values}]
    assert found["variant"]["selectedOptions"] == [{"value": "S", "optionValue": {"name": "S"}}]
