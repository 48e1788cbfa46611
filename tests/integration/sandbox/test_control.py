"""The control routes: edits by hand, counters, faults."""

import http.client

import pytest

from calibr_sandbox.testing import StartedSandbox

UPDATE = """mutation($price: Money) { productVariantsBulkUpdate(productId: "gid://shopify/Product/8100000000001",
  variants: [{id: "gid://shopify/ProductVariant/45100000000001", price: $price}]) { userErrors { message } } }"""
EDIT = "/sandbox/variants/gid://shopify/ProductVariant/45100000000001"


def _price(sandbox: StartedSandbox) -> str:
    return str(sandbox.client.request("GET", EDIT).body["price"])


def test_a_merchants_edit_changes_price_date_and_journal_but_counts_no_remote_write(sandbox: StartedSandbox) -> None:
    answer = sandbox.client.request("POST", EDIT, {"price": "8.8", "compareAtPrice": "9", "cost": None})

    assert (answer.body["price"], answer.body["compare_at_price"], answer.body["cost"]) == ("8.80", "9.00", None)
    assert answer.body["updated_at"] > answer.body["created_at"]
    stats = sandbox.client.request("GET", "/sandbox/stats").body
    assert (stats["edits_by_hand"], stats["accepted_variant_writes"]) == (1, 0)
    writes = sandbox.client.request("GET", "/sandbox/journal?after=0&limit=5").body["writes"]
    assert [(w["seq"], w["source"], w["variant_id"], w["price"]) for w in writes] == [
        (1, "hand", 45_100_000_000_001, "8.80")
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/sandbox/variants/1", {"price": "1"}, 404, "there is no variant '1'"),
        ("/sandbox/variants/" + "9" * 30, {"price": "1"}, 404, "there is no variant '999"),
        (EDIT, {"title": "x"}, 400, "send one or more of price, compareAtPrice, cost; not title"),
        (EDIT, {}, 400, "send one or more of price, compareAtPrice, cost; not an empty object"),
        (EDIT, {"price": None}, 400, "price: None is not an amount"),
        (EDIT, {"price": 1.5}, 400, "price: 1.5 is not an amount"),
        (EDIT, {"price": "-1"}, 400, "-1 is outside of 0 to"),
        (EDIT, ["x"], 400, "the body must be a JSON object"),
        ("/sandbox/faults", {"kind": "flood"}, 400, "'flood' is not a valid FaultKind"),
        ("/sandbox/faults", {"kind": "throttle", "rate": 2}, 400, "rate: 2 is not between 0 and 1"),
        ("/sandbox/faults", {"kind": "throttle", "ratio": 1}, 400, "unexpected keyword argument 'ratio'"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    unchanged: StartedSandbox, path: str, body: object, status: int, message: str
) -> None:
    answer = unchanged.client.request("POST", path, body)

    assert answer.status == status
    assert message in answer.body["error"]
    assert _price(unchanged) == "10.00"


@pytest.mark.parametrize(("kind", "written"), [("drop_before_commit", False), ("drop_after_commit", True)])
def test_a_dropped_connection_loses_the_answer_before_or_after_the_write(
    sandbox: StartedSandbox, kind: str, *, written: bool
) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": kind, "count": 1, "mutations_only": True})

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        sandbox.client.graphql(UPDATE, {"price": "5.00"})

    assert _price(sandbox) == ("5.00" if written else "10.00")
    assert sandbox.client.graphql(UPDATE, {"price": "6.00"}).data
    assert _price(sandbox) == "6.00"


@pytest.mark.parametrize(("kind", "status"), [("too_many_requests", 429), ("server_error", 503)])
def test_a_failing_status_writes_nothing(sandbox: StartedSandbox, kind: str, status: int) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": kind, "count": 1})

    answer = sandbox.client.graphql(UPDATE, {"price": "5.00"})

    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 429)
    assert _price(sandbox) == "10.00"


def test_a_throttle_fault_answers_as_an_empty_bucket_does(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "throttle"})

    answer = sandbox.client.graphql(UPDATE, {"price": "5.00"})

    assert (answer.status, answer.body["errors"][0]["extensions"]["code"]) == (200, "THROTTLED")
    listed = sandbox.client.request("GET", "/sandbox/faults").body
    assert listed == {"faults": [{"kind": "throttle", "rate": 1.0, "count": None, "hits": 1}]}
    assert sandbox.client.request("DELETE", "/sandbox/faults").body == {"faults": []}
    assert sandbox.client.graphql(UPDATE, {"price": "5.00"}).data


def test_health_and_counters(sandbox: StartedSandbox) -> None:
    assert sandbox.client.request("GET", "/sandbox/health").body == {"status": "ok"}
    sandbox.client.graphql("{ shop { id } }")
    sandbox.client.graphql(UPDATE, {"price": "5.00"})

    stats = sandbox.client.request("GET", "/sandbox/stats").body

    assert (stats["calls"], stats["mutations"], stats["products"], stats["variants"]) == (2, 1, 2, 3)
    assert (stats["accepted_variant_writes"], stats["points_spent"]) == (1, 11)
