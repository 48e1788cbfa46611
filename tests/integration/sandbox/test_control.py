"""The control routes: edits by hand, counters, faults."""

import http.client
import sqlite3
import time
from contextlib import closing

import httpx2
import pytest

from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import DEFAULT_TOKEN
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
        ("/sandbox/faults", {"kind": "flood"}, 400, "'flood' is not one of"),
        ("/sandbox/faults", {"kind": "throttle", "rate": 2}, 400, "rate: 2 is not between 0 and 1"),
        ("/sandbox/faults", {"kind": "throttle", "ratio": 1}, 400, "ratio: is not known"),
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
    assert sandbox.client.request("GET", "/sandbox/stats").body["faults_injected"] == {"truncate": 1}


def test_a_late_write_lands_after_its_client_has_gone(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "delay_before_commit", "count": 1, "delay_s": 0.4})
    body = {"query": UPDATE, "variables": {"price": "5.00"}}
    headers = {"X-Shopify-Access-Token": DEFAULT_TOKEN}

    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{sandbox.url}/admin/api/2026-10/graphql.json", json=body, headers=headers, timeout=0.1)

    assert sandbox.client.request("GET", "/sandbox/journal").body["writes"] == []
    time.sleep(0.6)
    assert len(sandbox.client.request("GET", "/sandbox/journal").body["writes"]) == 1


def test_the_journal_tells_who_wrote_what_over_which_value(sandbox: StartedSandbox) -> None:
    sandbox.client.graphql(UPDATE, {"price": "5.00"})
    (first,) = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    edits = [{"id": str(first["variant_id"]), "price": "7.00"}, {"id": str(first["variant_id"]), "price": "7.00"}]

    sandbox.client.request("POST", "/sandbox/edits", {"edits": edits, "who": "another app"})

    _, second, third = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    assert first["who"].startswith("api ")
    assert DEFAULT_TOKEN not in first["who"]
    assert (second["who"], second["source"], second["price_before"], second["price"]) == (
        "another app",
        "hand",
        "5.00",
        "7.00",
    )
    assert [entry["effective"] for entry in (first, second, third)] == [1, 1, 0]
    assert abs(second["at_ms"] / 1000 - time.time()) < 60


@pytest.mark.parametrize("statement", ["DELETE FROM journal", "UPDATE journal SET price = '1'"])
def test_the_journal_can_only_be_added_to(sandbox: StartedSandbox, statement: str) -> None:
    sandbox.client.graphql(UPDATE, {"price": "5.00"})

    with closing(sqlite3.connect(sandbox.shop.config.db)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
