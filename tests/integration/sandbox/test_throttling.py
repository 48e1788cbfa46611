"""Costs and limits as a client meets them. The clock stands still unless a test moves it."""

import time
from pathlib import Path

import pytest

from calibr_sandbox.testing import StartedSandbox, Starter

CHEAP = "{ shop { name } }"
DEAR = "{ products(first: 250) { nodes { variants(first: 250) { nodes { inventoryItem { id } } } } } }"
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
HIDDEN = "query($ids: [ID!]!) { ...Hidden } fragment Hidden on QueryRoot { nodes(ids: $ids) { id } }"
UPDATE = """mutation($rows: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: "gid://shopify/Product/8100000000001", variants: $rows) { product { id } } }"""
RED = "gid://shopify/ProductVariant/45100000000001"


@pytest.mark.parametrize(
    ("plan", "size", "rate"),
    [("standard", 2_000, 100), ("advanced", 4_000, 200), ("plus", 20_000, 1_000), ("enterprise", 40_000, 2_000)],
)
def test_every_answer_says_what_the_bucket_holds(start: Starter, plan: str, size: int, rate: int) -> None:
    answer = start(plan=plan).client.graphql(CHEAP)

    assert answer.cost == {
        "requestedQueryCost": 1,
        "actualQueryCost": 1,
        "throttleStatus": {"maximumAvailable": size, "currentlyAvailable": size - 1, "restoreRate": rate},
    }


def test_the_requested_cost_must_be_there_and_the_difference_comes_back(start: Starter) -> None:
    sandbox = start(plan="standard")

    cost = sandbox.client.graphql(DEAR).cost

    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (277, 2 + 1 * (1 + 2 + 1 * 2))
    assert cost["throttleStatus"]["currentlyAvailable"] == 2_000 - cost["actualQueryCost"]


def test_an_empty_bucket_throttles_with_status_200_and_no_data(start: Starter) -> None:
    sandbox = start(plan="standard")
    sandbox.client.request("POST", "/sandbox/throttle")

    answer = sandbox.client.graphql(DEAR)
    sandbox.clock.now += 2.76
    still = sandbox.client.graphql(DEAR)
    sandbox.clock.now += 0.02
    after = sandbox.client.graphql(DEAR)

    assert answer.status == 200
    assert "data" not in answer.body
    assert answer.body["errors"][0]["message"] == "Throttled"
    assert answer.body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert answer.cost == {
        "requestedQueryCost": 277,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 2_000, "currentlyAvailable": 0, "restoreRate": 100},
    }
    assert "errors" in still.body
    assert "errors" not in after.body


def test_a_throttled_write_writes_nothing(start: Starter) -> None:
    sandbox = start(plan="standard")
    sandbox.client.request("POST", "/sandbox/throttle")

    sandbox.client.graphql(UPDATE, {"rows": [{"id": RED, "price": "1.00"}]})

    stats = sandbox.client.request("GET", "/sandbox/stats").body
    assert (stats["throttled"], stats["accepted_variant_writes"]) == (1, 0)


def test_tokens_have_buckets_of_their_own(start: Starter) -> None:
    sandbox = start(tokens=("one", "two"))
    sandbox.client.graphql(DEAR)
    sandbox.client._token = "two"

    assert sandbox.client.graphql(CHEAP).cost["throttleStatus"]["currentlyAvailable"] == 19_999


def test_a_query_above_the_cap_is_refused_on_every_plan(start: Starter) -> None:
    inner = "nodes { product { variants(first: 250) { nodes { id inventoryItem { id } product { id } } } } }"
    query = f"{{ products(first: 250) {{ nodes {{ variants(first: 250) {{ {inner} }} }} }} }}"

    answer = start(plan="enterprise").client.graphql(query)

    error = answer.body["errors"][0]
    cost = error["extensions"]["cost"]
    assert cost > 1_000
    assert error["message"] == f"Query cost is {cost}, which exceeds the single query max cost limit (1000)."
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert "data" not in answer.body


@pytest.mark.parametrize(
    ("query", "name", "cap", "path"),
    [
        (NODES, "ids", 250, ["nodes", "ids"]),
        (HIDDEN, "ids", 250, ["nodes", "ids"]),
        (UPDATE, "rows", 2_048, ["productVariantsBulkUpdate", "variants"]),
    ],
)
def test_a_list_that_is_too_long_is_refused(
    sandbox: StartedSandbox, query: str, name: str, cap: int, path: list[str]
) -> None:
    item = RED if name == "ids" else {"id": RED, "price": "2.00"}

    fits = sandbox.client.graphql(query, {name: [item] * cap})
    refused = sandbox.client.graphql(query, {name: [item] * (cap + 1)})

    assert "errors" not in fits.body
    assert refused.body == {
        "errors": [
            {
                "message": f"The input array size of {cap + 1} is greater than the maximum allowed of {cap}.",
                "path": path,
                "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"},
            }
        ]
    }


def test_time_that_runs_faster_fills_the_bucket_sooner_and_says_so(start: Starter) -> None:
    sandbox = start(plan="standard", time_factor=50)
    sandbox.client.request("POST", "/sandbox/throttle")
    refused = sandbox.client.graphql(DEAR)

    sandbox.clock.now += 277 / (50 * 100) + 0.001
    after = sandbox.client.graphql(DEAR)

    assert refused.body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert refused.cost["throttleStatus"]["restoreRate"] == 5_000
    assert "errors" not in after.body


def test_a_client_that_waits_as_it_is_told_is_not_throttled(start: Starter) -> None:
    """The wait by the formula of Shopify's documentation, in the client's own seconds, at any speed of time."""
    for factor in (1, 7, 600):
        sandbox = start(plan="standard", time_factor=factor)
        sandbox.client.request("POST", "/sandbox/throttle")
        cost = sandbox.client.graphql(DEAR).cost
        status = cost["throttleStatus"]
        wait = (cost["requestedQueryCost"] - status["currentlyAvailable"]) / status["restoreRate"]

        sandbox.clock.now += wait

        assert "errors" not in sandbox.client.graphql(DEAR).body, factor


def test_time_moved_ahead_fills_the_bucket(start: Starter) -> None:
    sandbox = start(plan="standard")
    sandbox.client.request("POST", "/sandbox/throttle")
    sandbox.client.request("POST", "/sandbox/clock", {"advance_s": 20})

    assert "errors" not in sandbox.client.graphql(DEAR).body


def test_bulk_operations_take_their_time_divided_by_its_speed(start: Starter) -> None:
    sandbox = start(bulk_delay_s=600, time_factor=20_000)  # twice 0.03 s
    run = (
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { userErrors { message } } }'
    )
    assert sandbox.client.graphql(run).data["bulkOperationRunQuery"]["userErrors"] == []

    deadline = time.monotonic() + 10
    while sandbox.client.graphql("{ currentBulkOperation { status } }").data["currentBulkOperation"]["status"] != (
        "COMPLETED"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_same_token_at_two_plans_has_their_buckets(start: Starter, tmp_path: Path) -> None:
    plans = {"standard": 2_000, "advanced": 4_000, "plus": 20_000}
    shops = {plan: start(plan=plan, db=tmp_path / f"{plan}.db") for plan in plans}

    for plan, size in plans.items():
        status = shops[plan].client.graphql(CHEAP).cost["throttleStatus"]
        assert (status["maximumAvailable"], status["restoreRate"]) == (size, size / 20)
