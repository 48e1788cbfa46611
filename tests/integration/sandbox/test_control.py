"""The control routes: edits by hand, counters, faults."""

import http.client
import time

import httpx2
import pytest

from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import DEFAULT_TOKEN
from calibr_sandbox.testing import StartedSandbox

UPDATE = """mutation($price: Money) { productVariantsBulkUpdate(productId: "gid://shopify/Product/8100000000001",
  variants: [{id: "gid://shopify/ProductVariant/45100000000001", price: $price}]) { userErrors { message } } }"""
FIRST = "45100000000001"
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
        ("/sandbox/faults", {"kind": "flood"}, 400, "'flood' is not one of"),
        ("/sandbox/faults", {"kind": "throttle", "rate": 2}, 400, "rate: 2 is not between 0 and 1"),
        ("/sandbox/faults", {"kind": "throttle", "ratio": 1}, 400, "ratio: is not known"),
        ("/sandbox/edits", {}, 400, 'send {"edits": ['),
        ("/sandbox/edits", {"edits": [1]}, 400, 'send {"edits": ['),
        ("/sandbox/edits", {"edits": [{"id": FIRST, "price": "1"}], "who": 7}, 400, "who: 7 is no name"),
        (
            "/sandbox/edits",
            {"edits": [{"id": FIRST, "price": "1"}, {"id": "1", "price": "1"}]},
            404,
            "edit 1: there is no variant '1'",
        ),
        (
            "/sandbox/edits",
            {"edits": [{"id": FIRST, "price": "1"}, {"id": FIRST, "price": "x"}]},
            400,
            "edit 1: 'x' is not a decimal number",
        ),
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
    (listed,) = sandbox.client.request("GET", "/sandbox/faults").body["faults"]
    assert (listed["kind"], listed["rate"], listed["count"], listed["hits"]) == ("throttle", 1.0, None, 1)
    assert sandbox.client.request("DELETE", "/sandbox/faults").body == {"faults": []}
    assert sandbox.client.graphql(UPDATE, {"price": "5.00"}).data


def test_health_and_counters(sandbox: StartedSandbox) -> None:
    assert sandbox.client.request("GET", "/sandbox/health").body == {"status": "ok"}
    sandbox.client.graphql("{ shop { id } }")
    sandbox.client.graphql(UPDATE, {"price": "5.00"})

    stats = sandbox.client.request("GET", "/sandbox/stats").body

    assert (stats["calls"], stats["mutations"], stats["products"], stats["variants"]) == (2, 1, 2, 3)
    assert (stats["accepted_variant_writes"], stats["points_spent"]) == (1, 11)


def test_an_answer_that_breaks_off_was_written_all_the_same(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "truncate", "count": 1})

    with pytest.raises(http.client.IncompleteRead), SandboxClient(sandbox.url) as other:
        other.graphql(UPDATE, {"price": "5.00"})

    (write,) = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    assert write["price"] == "5.00"
    stats = sandbox.client.request("GET", "/sandbox/stats").body
    assert (stats["faults"], stats["faults_injected"]) == (1, {"truncate": 1})


def test_a_slow_body_comes_whole_but_takes_its_time(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "slow_body", "count": 1, "delay_s": 0.3})

    began = time.monotonic()
    answer = sandbox.client.graphql(UPDATE, {"price": "5.00"})

    assert answer.data
    assert time.monotonic() - began >= 0.3


def test_a_late_answer_is_late_but_written_at_once(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "delay_after", "count": 1, "delay_s": 0.5})
    body = {"query": UPDATE, "variables": {"price": "5.00"}}
    headers = {"X-Shopify-Access-Token": DEFAULT_TOKEN}

    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{sandbox.url}/admin/api/2026-10/graphql.json", json=body, headers=headers, timeout=0.2)

    assert _price(sandbox) == "5.00"


def test_a_429_tells_the_time_that_its_rule_says(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "too_many_requests", "count": 1, "retry_after_s": 0.25})

    assert sandbox.client.graphql(UPDATE, {"price": "5.00"}).headers["retry-after"] == "0.25"


def test_a_burst_throttles_the_calls_after_a_hit(sandbox: StartedSandbox) -> None:
    rule = {"kind": "throttle", "rate": 0.5, "seed": 1, "burst": 3}
    sandbox.client.request("POST", "/sandbox/faults", rule)

    answers = [sandbox.client.graphql("{ shop { id } }").body for _ in range(30)]

    throttled = "".join("x" if "errors" in answer else "." for answer in answers)
    assert throttled.strip("x").count(".") >= 2
    assert all(len(run) % 4 == 0 for run in throttled.strip("x").split(".") if run)


def test_a_late_write_lands_after_its_client_has_gone(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "delay_before", "count": 1, "delay_s": 0.4})
    body = {"query": UPDATE, "variables": {"price": "5.00"}}
    headers = {"X-Shopify-Access-Token": DEFAULT_TOKEN}

    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{sandbox.url}/admin/api/2026-10/graphql.json", json=body, headers=headers, timeout=0.1)

    assert sandbox.client.request("GET", "/sandbox/journal").body["writes"] == []
    time.sleep(0.6)
    assert len(sandbox.client.request("GET", "/sandbox/journal").body["writes"]) == 1
