"""Bulk queries from start to result, compared with the recordings where there are some."""

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from market_shop import RED, SCOPES, Markets, price

from calibr_sandbox.catalog_writer import NewProduct
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.testing import StartedSandbox, Starter

FIELDS = "id status type errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl query"
RUN = f"""mutation($query: String!, $group: Boolean! = false) {{
  bulkOperationRunQuery(query: $query, groupObjects: $group) {{
    bulkOperation {{ {FIELDS} }} userErrors {{ field message code }} }} }}"""
READ = f"query($id: ID!) {{ bulkOperation(id: $id) {{ {FIELDS} }} }}"
CANCEL = (
    "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } } }"
)
EXPORT = """{ products { edges { node { id title variants { edges { node { id price compareAtPrice sku
  selectedOptions { name value } inventoryItem { unitCost { amount } } product { handle } } } } } } } }"""


def _run(sandbox: StartedSandbox, query: str = EXPORT, *, group: bool = False) -> dict[str, Any]:
    answer = sandbox.client.graphql(RUN, {"query": query, "group": group})
    payload: dict[str, Any] = answer.data["bulkOperationRunQuery"]
    return payload


def _read(sandbox: StartedSandbox, gid: str) -> dict[str, Any]:
    operation: dict[str, Any] = sandbox.client.graphql(READ, {"id": gid}).data["bulkOperation"]
    return operation


def _await(sandbox: StartedSandbox, gid: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while (operation := _read(sandbox, gid))["status"] != status:
        assert time.monotonic() < deadline, operation
        time.sleep(0.01)
    return operation


def _finish(
    sandbox: StartedSandbox, query: str = EXPORT, *, group: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    operation = _await(sandbox, _run(sandbox, query, group=group)["bulkOperation"]["id"], "COMPLETED")
    answer = sandbox.client.request("GET", operation["url"].removeprefix(sandbox.url))
    assert answer.headers["content-type"] == "application/jsonl"
    assert len(answer.body) == int(operation["fileSize"])
    return operation, [json.loads(line) for line in answer.body.splitlines()]


def test_an_operation_is_created_and_completes_with_a_result(sandbox: StartedSandbox) -> None:
    created = _run(sandbox)
    operation, lines = _finish(sandbox)

    assert created["userErrors"] == []
    assert created["bulkOperation"] | {"id": "", "createdAt": ""} == {
        "id": "", "status": "CREATED", "type": "QUERY", "errorCode": None, "createdAt": "", "completedAt": None,
        "objectCount": "0", "rootObjectCount": "0", "fileSize": None, "url": None, "partialDataUrl": None,
        "query": EXPORT,
    }  # fmt: skip
    assert (operation["objectCount"], operation["rootObjectCount"]) == ("5", "2")
    by_id = {line["id"]: line for line in lines}
    assert by_id["gid://shopify/Product/8100000000001"] == {
        "id": "gid://shopify/Product/8100000000001",
        "title": "Shirt",
    }
    assert by_id["gid://shopify/ProductVariant/45100000000002"] == {
        "id": "gid://shopify/ProductVariant/45100000000002",
        "price": "11.00",
        "compareAtPrice": "15.00",
        "sku": "BLUE",
        "selectedOptions": [{"name": "Color", "value": "Blue"}, {"name": "Size", "value": "Large"}],
        "inventoryItem": {"unitCost": {"amount": "4.5"}},
        "product": {"handle": "shirt"},
        "__parentId": "gid://shopify/Product/8100000000001",
    }


@pytest.fixture(scope="module")
def catalog() -> tuple[NewProduct, ...]:
    return tuple(generate_products(CatalogSpec(3_000, 4, "USD")))


def test_children_stand_apart_from_their_parents_unless_grouped(
    start: Starter, catalog: tuple[NewProduct, ...]
) -> None:
    sandbox = start(products=catalog)

    _, loose = _finish(sandbox)
    _, grouped = _finish(sandbox, group=True)

    assert sorted(map(json.dumps, loose)) == sorted(map(json.dumps, grouped))
    assert sum("__parentId" in line for line in loose) == 3_000
    adjacent = [a["id"] == b.get("__parentId") for a, b in pairwise(loose)]
    assert sum(adjacent) < len(adjacent) / 50
    parent = None
    for line in grouped:
        parent = line.get("__parentId") or line["id"]
        assert line.get("__parentId", parent) == parent
    variants = [line["id"] for line in loose if "__parentId" in line]
    assert variants != sorted(variants)


def test_the_same_seed_gives_the_same_order(start: Starter, tmp_path: Path, catalog: tuple[NewProduct, ...]) -> None:
    orders = [
        _finish(start(products=catalog, db=tmp_path / f"{n}.db", seed=seed))[1] for n, seed in enumerate((1, 1, 2))
    ]

    assert orders[0] == orders[1] != orders[2]


def test_variants_can_be_the_root_and_a_filter_applies(unchanged: StartedSandbox) -> None:
    query = '{ productVariants(query: "vendor:Acme") { edges { node { id title: displayName __typename } } } }'

    operation, lines = _finish(unchanged, query)

    assert (operation["objectCount"], operation["rootObjectCount"]) == ("2", "2")
    assert sorted(line["title"] for line in lines) == ["Shirt - Blue / Large", "Shirt - Red / Small"]
    assert {line["__typename"] for line in lines} == {"ProductVariant"}


def test_an_empty_result_has_no_url(unchanged: StartedSandbox) -> None:
    run = _run(unchanged, '{ products(query: "vendor:Nobody") { edges { node { id } } } }')

    operation = _await(unchanged, run["bulkOperation"]["id"], "COMPLETED")

    assert (operation["url"], operation["objectCount"]) == (None, "0")


def test_the_result_is_the_catalog_as_it_was_and_not_a_mixture(start: Starter) -> None:
    sandbox = start()
    _, before = _finish(sandbox)
    sandbox.client.request("POST", "/sandbox/variants/45100000000003", {"price": "8.00"})
    _, after = _finish(sandbox)

    assert [line["price"] for line in before if line["id"].endswith("03")] == ["7.50"]
    assert [line["price"] for line in after if line["id"].endswith("03")] == ["8.00"]


def test_a_delay_shows_created_then_running(start: Starter) -> None:
    sandbox = start(bulk_delay_s=0.3)
    gid = _run(sandbox)["bulkOperation"]["id"]

    assert _read(sandbox, gid)["status"] == "CREATED"
    running = _await(sandbox, gid, "RUNNING")
    assert running["url"] is None
    assert _await(sandbox, gid, "COMPLETED")["completedAt"] is not None


def test_a_sixth_operation_is_refused_naming_the_five(start: Starter) -> None:
    sandbox = start(bulk_delay_s=30)
    gids = [_run(sandbox)["bulkOperation"]["id"] for _ in range(5)]

    refused = _run(sandbox)

    assert refused["bulkOperation"] is None
    assert refused["userErrors"] == [
        {
            "field": None,
            "message": f"A bulk query operation for this app and shop is already in progress: {', '.join(gids)}.",
            "code": "OPERATION_IN_PROGRESS",
        }
    ]


def test_a_canceled_operation_ends_without_result_and_makes_room(start: Starter, shared_data: Path) -> None:
    path = shared_data / "shopify" / "recorded" / "2026-04" / "bulk-operations"
    recorded = json.loads((path / "bulk-operation-cancel-preserves-fields.json").read_text(encoding="utf-8"))
    theirs = recorded["lifecycle"]["cancelAttempt"]["response"]["data"]["bulkOperationCancel"]
    sandbox = start(bulk_delay_s=30)
    gid = _run(sandbox)["bulkOperation"]["id"]

    canceling = sandbox.client.graphql(CANCEL, {"id": gid}).data["bulkOperationCancel"]
    canceled = _await(sandbox, gid, "CANCELED")

    assert canceling["bulkOperation"]["status"] == theirs["bulkOperation"]["status"] == "CANCELING"
    assert canceling["userErrors"] == theirs["userErrors"] == []
    kept = ("completedAt", "fileSize", "url", "partialDataUrl")
    assert [canceled[name] for name in kept] == [theirs["bulkOperation"][name] for name in kept] == [None] * 4


@pytest.mark.parametrize(
    ("gid", "error"),
    [
        ("gid://shopify/BulkOperation/1", {"field": ["id"], "message": "Bulk operation does not exist"}),
        (None, {"field": None, "message": "A bulk operation cannot be canceled when it is completed"}),
    ],
)
def test_what_cannot_be_canceled_says_why(unchanged: StartedSandbox, gid: str | None, error: dict[str, Any]) -> None:
    wanted = gid or _finish(unchanged)[0]["id"]

    payload = unchanged.client.graphql(CANCEL, {"id": wanted}).data["bulkOperationCancel"]

    assert payload["userErrors"] == [error]
    assert payload["bulkOperation"] == (None if gid else {"id": wanted, "status": "COMPLETED"})


def test_prices_in_contexts_are_exported_under_their_aliases(start: Starter) -> None:
    sandbox = start(bulk_delay_s=0, scopes=SCOPES)
    markets = Markets(sandbox)
    for name, country, percent in (("Germany", "DE", -10), ("France", "FR", 20)):
        price_list = markets.price_list(name, "EUR", percent)
        markets.catalog(name, [markets.market(name, "EUR", [country])], priceListId=price_list)
        if country == "DE":
            markets.fix(price_list, price(RED, "9.99", compare_at="19.99"))
    money = "{ price { amount currencyCode } compareAtPrice { amount } quantityRule { minimum } }"
    contexts = {code.lower(): f"{{country: {code}}}" for code in ("DE", "FR", "JP")}
    asked = " ".join(f"{name}: contextualPricing(context: {each}) {money}" for name, each in contexts.items())

    _, lines = _finish(sandbox, f"{{ productVariants {{ edges {{ node {{ id {asked} }} }} }} }}")

    assert len(lines) == 3
    for line in lines:
        for name, seen in ((each, line[each]) for each in contexts):
            told = markets.seen_by(line["id"], country=name.upper())
            assert (seen["price"], seen["compareAtPrice"]) == (told["price"], told["compareAtPrice"])
            assert seen["quantityRule"] == {"minimum": 1}
    (red,) = (line for line in lines if line["id"] == RED)
    amounts = [red[each]["price"] for each in contexts]
    assert [(each["amount"], each["currencyCode"]) for each in amounts] == [
        ("9.99", "EUR"), ("12.0", "EUR"), ("10.0", "USD"),
    ]  # fmt: skip


def test_operations_are_listed_newest_first_and_by_status(start: Starter) -> None:
    sandbox = start(bulk_delay_s=0)
    first, second = (_finish(sandbox)[0]["id"] for _ in range(2))
    query = """query($search: String, $reverse: Boolean) { bulkOperations(first: 5, query: $search, reverse: $reverse) {
      nodes { id } } currentBulkOperation { id } }"""

    def listed(**variables: object) -> list[str]:
        nodes = sandbox.client.graphql(query, variables).data["bulkOperations"]["nodes"]
        return [node["id"] for node in nodes]

    assert listed() == listed(search="status:completed") == [second, first]
    assert listed(reverse=True) == [first, second]
    assert listed(search="status:running") == listed(search="status:EXPIRED") == []
    assert sandbox.client.graphql(query).data["currentBulkOperation"] == {"id": second}


def test_recorded_argument_errors_are_given_in_the_same_words(unchanged: StartedSandbox, shared_data: Path) -> None:
    path = shared_data / "shopify" / "recorded" / "2026-04" / "bulk-operations"
    recorded = json.loads((path / "bulk-operations-read-arg-validation.json").read_text(encoding="utf-8"))["cases"]
    compared = 0
    for name, case in recorded.items():
        answer = unchanged.client.graphql(case["query"], case["variables"]).body
        theirs = case["response"]

        assert [e["message"] for e in answer.get("errors", [])] == [e["message"] for e in theirs.get("errors", [])], (
            name
        )
        codes = [error["extensions"]["code"] for error in theirs.get("errors", [])]
        assert [error["extensions"]["code"] for error in answer.get("errors", [])] == codes, name
        assert answer.get("data", "none") == theirs.get("data", "none"), name
        compared += 1
    assert compared == 8


def test_a_result_that_does_not_exist_is_not_found(unchanged: StartedSandbox) -> None:
    assert unchanged.client.request("GET", "/sandbox/bulk-results/nothing.jsonl").status == 404
    assert unchanged.client.request("GET", "/sandbox/bulk-results/..%2Fshop.db").status == 404
