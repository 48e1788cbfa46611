"""Webhooks out: who is told of which writes, with which headers, what is sent again, and where nothing is sent."""

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_receiver import Receiver, await_that, receiving

from calibr_sandbox import courier
from calibr_sandbox.config import DEFAULT_WEBHOOK_SECRET, SandboxConfig
from calibr_sandbox.testing import StartedSandbox, Starter, started_sandbox

SHIRT, MUG = 8_100_000_000_001, 8_100_000_000_002
RED, BLUE, CUP = "45100000000001", "45100000000002", "45100000000003"
UPDATE = """mutation($price: Money) { productVariantsBulkUpdate(productId: "gid://shopify/Product/8100000000001",
  variants: [{id: "gid://shopify/ProductVariant/45100000000001", price: $price}]) { userErrors { message } } }"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def _subscribe(sandbox: StartedSandbox, url: str) -> int:
    answer = sandbox.client.request("POST", "/sandbox/webhooks", {"topic": "products/update", "url": url})
    assert answer.status == 200, answer.body
    return int(answer.body["id"])


def _set_price(sandbox: StartedSandbox, variant: str, price: str) -> None:
    assert sandbox.client.request("POST", f"/sandbox/variants/{variant}", {"price": price}).status == 200


def _counts(sandbox: StartedSandbox) -> dict[str, int]:
    found: dict[str, int] = sandbox.client.request("GET", "/sandbox/stats").body["webhooks"]
    return found


def test_a_remote_write_is_told_with_signature_and_headers(sandbox: StartedSandbox, receiver: Receiver) -> None:
    _subscribe(sandbox, receiver.url + "/hooks?shop=1")
    sandbox.client.graphql(UPDATE, {"price": "5.00"})
    await_that(lambda: bool(receiver.tries))

    headers, body = receiver.tries[0]
    digest = hmac.new(DEFAULT_WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()
    assert headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()
    assert headers["X-Shopify-Topic"] == "products/update"
    assert headers["X-Shopify-Shop-Domain"] == "calibr-sandbox.myshopify.com"
    assert headers["X-Shopify-API-Version"] == "2026-10"
    assert headers["X-Shopify-Triggered-At"].endswith("Z")
    assert headers["X-Shopify-Webhook-Id"] != headers["X-Shopify-Event-Id"]
    told = json.loads(body)
    assert (told["id"], told["handle"], told["tags"]) == (SHIRT, "shirt", "new, sale")
    assert [(v["price"], v["compare_at_price"]) for v in told["variants"]] == [("5.00", None), ("11.00", "15.00")]
    assert told["variants"][1]["option1"] == "Blue"


def test_one_request_that_touches_two_products_is_one_event_with_two_webhooks(
    sandbox: StartedSandbox, receiver: Receiver
) -> None:
    _subscribe(sandbox, receiver.url)
    edits = [{"id": number, "price": "3"} for number in (RED, BLUE, CUP)]
    sandbox.client.request("POST", "/sandbox/edits", {"edits": edits})
    await_that(lambda: len(receiver.tries) == 2)

    assert [json.loads(body)["id"] for _, body in receiver.tries] == [SHIRT, MUG]
    assert len(set(receiver.ids("X-Shopify-Event-Id"))) == 1
    assert len(set(receiver.ids("X-Shopify-Webhook-Id"))) == 2


def test_what_was_refused_is_not_told_and_an_answer_that_was_lost_is(
    sandbox: StartedSandbox, receiver: Receiver
) -> None:
    _subscribe(sandbox, receiver.url)
    assert sandbox.client.graphql(UPDATE, {"price": "-1"}).data["productVariantsBulkUpdate"]["userErrors"]
    sandbox.client.request("POST", "/sandbox/edits", {"edits": [{"id": RED, "price": "1"}, {"id": "1", "price": "1"}]})
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "drop_after_commit", "count": 1})
    with pytest.raises((OSError, http.client.HTTPException)):
        sandbox.client.graphql(UPDATE, {"price": "5.00"})
    await_that(lambda: bool(receiver.tries))

    assert receiver.prices() == ["5.00"]
    assert _counts(sandbox)["queued"] == 1


def test_webhooks_come_in_the_order_of_the_writes(sandbox: StartedSandbox, receiver: Receiver) -> None:
    _subscribe(sandbox, receiver.url)
    for number in range(10, 40):
        _set_price(sandbox, RED, str(number))
    await_that(lambda: len(receiver.tries) == 30)

    assert receiver.prices() == [f"{number}.00" for number in range(10, 40)]


def test_a_failed_try_is_repeated_unchanged_and_holds_up_nobody(sandbox: StartedSandbox, receiver: Receiver) -> None:
    receiver.answers.extend([500, 302])
    _subscribe(sandbox, receiver.url)
    _set_price(sandbox, RED, "1")
    await_that(lambda: len(receiver.tries) >= 1)
    _set_price(sandbox, RED, "2")
    _set_price(sandbox, RED, "3")
    await_that(lambda: _counts(sandbox)["delivered"] == 3)

    by_id: dict[str, set[bytes]] = {}
    for headers, body in receiver.tries:
        by_id.setdefault(headers["X-Shopify-Webhook-Id"], set()).add(body)
    assert len(receiver.tries) == 5
    assert receiver.prices()[0] == "1.00"
    assert all(len(bodies) == 1 for bodies in by_id.values())
    assert len(by_id) == 3
    assert _counts(sandbox)["failed_tries"] == 2


def test_after_eight_retries_it_is_given_up_and_a_subscription_of_the_route_stays(
    start: Starter, receiver: Receiver
) -> None:
    sandbox = start(webhook_speed=1e6)
    receiver.answers.extend([500] * (1 + courier.RETRIES))
    _subscribe(sandbox, receiver.url)
    _set_price(sandbox, RED, "1")
    await_that(lambda: _counts(sandbox)["given_up"] == 1)
    _set_price(sandbox, RED, "2")
    await_that(lambda: _counts(sandbox)["delivered"] == 1)

    assert receiver.prices() == ["1.00"] * (1 + courier.RETRIES) + ["2.00"]


def test_a_duplicate_is_the_same_webhook_twice(sandbox: StartedSandbox, receiver: Receiver) -> None:
    _subscribe(sandbox, receiver.url)
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "duplicate_webhooks", "count": 1})
    _set_price(sandbox, RED, "1")
    _set_price(sandbox, RED, "2")
    await_that(lambda: len(receiver.tries) == 3)

    first, second, third = receiver.ids("X-Shopify-Webhook-Id")
    assert first == second != third
    stats = sandbox.client.request("GET", "/sandbox/stats").body
    assert (stats["faults"], stats["faults_injected"]) == (1, {"duplicate_webhooks": 1})


def test_a_webhook_that_is_held_back_comes_after_a_later_one(
    sandbox: StartedSandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "HELD_S", 60)
    _subscribe(sandbox, receiver.url)
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "reorder_webhooks", "count": 1})
    _set_price(sandbox, RED, "1")
    _set_price(sandbox, RED, "2")
    await_that(lambda: len(receiver.tries) == 2)

    assert receiver.prices() == ["2.00", "1.00"]


def test_a_retry_of_an_earlier_webhook_does_not_let_a_held_one_go(
    sandbox: StartedSandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "HELD_S", 60)
    receiver.answers.append(500)
    _subscribe(sandbox, receiver.url)
    _set_price(sandbox, RED, "1")
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "reorder_webhooks", "count": 1})
    _set_price(sandbox, RED, "2")
    await_that(lambda: _counts(sandbox)["delivered"] == 1)
    time.sleep(0.2)
    assert receiver.prices() == ["1.00", "1.00"]

    _set_price(sandbox, RED, "3")
    await_that(lambda: len(receiver.tries) == 4)

    assert receiver.prices()[2:] == ["3.00", "2.00"]


def test_a_webhook_that_is_held_back_comes_at_last_without_a_later_one(
    sandbox: StartedSandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "HELD_S", 0.3)
    _subscribe(sandbox, receiver.url)
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "reorder_webhooks", "count": 1})
    began = time.monotonic()
    _set_price(sandbox, RED, "1")
    await_that(lambda: len(receiver.tries) == 1)

    assert time.monotonic() - began >= 0.3


def test_a_subscriber_that_hangs_holds_up_neither_writes_nor_other_subscribers(
    sandbox: StartedSandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MAX_WAITING", 3)
    with receiving() as hanging:
        hanging.is_open.clear()
        _subscribe(sandbox, hanging.url)
        _subscribe(sandbox, receiver.url)
        for number in range(8):
            _set_price(sandbox, RED, str(number))
            await_that(lambda number=number: len(receiver.tries) == number + 1)  # type: ignore[misc]

        assert hanging.tries == []
        assert _counts(sandbox)["dropped"] >= 4


def test_subscriptions_can_be_listed_and_ended(sandbox: StartedSandbox, receiver: Receiver) -> None:
    first, second = _subscribe(sandbox, receiver.url + "/a"), _subscribe(sandbox, receiver.url + "/b")
    _set_price(sandbox, RED, "1")
    await_that(lambda: len(receiver.tries) == 2)
    ended = sandbox.client.request("DELETE", f"/sandbox/webhooks/{first}").body["webhooks"]
    _set_price(sandbox, RED, "2")
    await_that(lambda: len(receiver.tries) == 3)

    assert [(each["id"], each["url"]) for each in ended] == [(second, receiver.url + "/b")]
    assert sandbox.client.request("DELETE", f"/sandbox/webhooks/{first}").status == 404
    assert sandbox.client.request("DELETE", "/sandbox/webhooks").body == {"webhooks": []}
    _set_price(sandbox, RED, "3")
    assert sandbox.client.request("GET", "/sandbox/webhooks").body == {"webhooks": []}
    assert _counts(sandbox)["queued"] == 3


def test_subscriptions_outlive_the_server(tmp_path: Path, start: Starter, receiver: Receiver) -> None:
    config = SandboxConfig(db=tmp_path / "kept.db", webhook_secret="rotated")
    with started_sandbox(config) as before:
        _subscribe(before, receiver.url)

    again = start(db=tmp_path / "kept.db", webhook_secret="rotated")
    _set_price(again, RED, "1")
    await_that(lambda: len(receiver.tries) == 1)

    headers, body = receiver.tries[0]
    digest = hmac.new(b"rotated", body, hashlib.sha256).digest()
    assert headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "http://10.0.0.1/hook",
        "http://0.0.0.0:80/hook",
        "http://169.254.169.254/latest",
        "http://localhost.example.com/",
        "http://127.0.0.1@example.com/",
        "http://user:secret@127.0.0.1/",
        "https://127.0.0.1/hook",
        "file:///etc/passwd",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1/\r\nX-Evil: 1",
        "http://127.0.0.1/" + "a" * 3_000,
        "",
        None,
        7,
    ],
)
def test_an_address_elsewhere_is_refused(unchanged: StartedSandbox, url: object) -> None:
    answer = unchanged.client.request("POST", "/sandbox/webhooks", {"topic": "products/update", "url": url})

    assert answer.status == 400
    assert answer.body["error"].startswith("url: ")
    assert unchanged.client.request("GET", "/sandbox/webhooks").body == {"webhooks": []}


def test_another_topic_and_a_second_subscription_of_one_address_are_refused(
    sandbox: StartedSandbox, receiver: Receiver
) -> None:
    _subscribe(sandbox, receiver.url)

    body = {"topic": "products/update", "url": receiver.url}
    assert "already" in sandbox.client.request("POST", "/sandbox/webhooks", body).body["error"]
    body["topic"] = "orders/create"
    assert "topic: 'orders/create'" in sandbox.client.request("POST", "/sandbox/webhooks", body).body["error"]
