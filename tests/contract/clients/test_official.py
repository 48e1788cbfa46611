"""Shopify's own clients, as they come from the registries, against the sandbox."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clients_of_others import Storefront, run_job

from calibr_sandbox.config import DEFAULT_CLIENT_SECRET, DEFAULT_TOKEN


def test_shopifyapp_signs_in_reads_and_changes_prices(storefront: Storefront) -> None:
    report = run_job("official", "shopifyapp_prices.py", storefront, price="77.70")

    assert report["scope"] == "read_inventory,read_markets,write_products"
    assert report["shop"] == {"name": "Calibr Sandbox", "currencyCode": "USD"}
    assert report["products"] == 5
    payload = report["written"]["productVariantsBulkUpdate"]
    assert payload["userErrors"] == []
    assert {variant["price"] for variant in payload["productVariants"]} == {"77.70"}
    assert report["again"] == payload["productVariants"]
    assert {storefront.price(sent["id"]) for sent in report["sent"]} == {"77.70"}
    assert report["cost"]["throttleStatus"]["maximumAvailable"] == 2_000
    assert report["refused"] == [False, "graphql_errors", "MAX_COST_EXCEEDED"]


@pytest.mark.parametrize(
    ("fault", "log"),
    [
        ({"kind": "too_many_requests", "retry_after_s": 1}, ["rate_limited_retry", "success"]),
        ({"kind": "server_error"}, ["http_error_503_retry", "success"]),
    ],
)
def test_shopifyapp_tries_again(storefront: Storefront, fault: dict[str, Any], log: list[str]) -> None:
    storefront.control.request("POST", "/sandbox/faults", {**fault, "rate": 1.0, "count": 1, "mutations_only": True})

    report = run_job("official", "shopifyapp_prices.py", storefront, price="5.00")

    assert report["write_log"] == log
    assert {storefront.price(sent["id"]) for sent in report["sent"]} == {"5.00"}


def test_shopifyapp_tells_of_throttling(storefront: Storefront) -> None:
    storefront.control.request("POST", "/sandbox/faults", {"kind": "throttle", "rate": 1.0, "mutations_only": True})

    report = run_job("official", "shopifyapp_prices.py", storefront, price="5.00")

    assert report["written"] is None
    assert report["write_log"] == ["graphql_errors"]
    assert all(storefront.price(sent["id"]) != "5.00" for sent in report["sent"])


def test_shopifyapp_exchanges_and_refreshes_tokens(storefront: Storefront) -> None:
    session_token = storefront.control.request("POST", "/sandbox/app/session-token", {}).body["session_token"]

    report = run_job("official", "shopifyapp_tokens.py", storefront, session_token=session_token)

    assert report == {
        "verified": "verified",
        "bought": ["success", True],
        "refreshed": ["success", True],
        "again_is_the_same": True,
        "moved_on": "success",
        "stale": "invalid_grant",
        "old_token": "unauthorized",
        "new_token": "success",
        "wrong_secret": "invalid_client",
    }


def test_shopifyapp_is_told_when_the_shop_belongs_to_others(storefront: Storefront) -> None:
    storefront.control.request("POST", "/sandbox/app", {"permitted": False})

    report = run_job("official", "shopifyapp_prices.py", storefront, price="5.00")

    assert report["signed_in"]["code"] == "exchange_error"
    assert "shop_not_permitted" in report["signed_in"]["detail"]


def test_shopifyapp_verifies_webhooks_with_the_new_and_the_old_secret(storefront: Storefront) -> None:
    with _receiver() as (url, received):
        storefront.control.request("POST", "/sandbox/webhooks", {"topic": "products/update", "url": url})
        product = storefront.control.graphql("{ productVariants(first: 1) { nodes { id } } }")
        variant = product.data["productVariants"]["nodes"][0]["id"]
        for step in ({}, {"client_secret": "shpss_new"}, {"advance_s": 3_600}):
            if "client_secret" in step:
                storefront.control.request("POST", "/sandbox/app/secret", step)
            elif step:
                storefront.control.request("POST", "/sandbox/clock", step)
            storefront.control.request("POST", f"/sandbox/variants/{variant}", {"price": f"{10 + len(received)}.00"})
            received.wait_for_one_more()

    requests = [*received.requests, {**received.requests[0], "body": received.requests[0]["body"] + " "}]
    secrets = [[DEFAULT_CLIENT_SECRET, None], ["shpss_new", None], ["shpss_new", DEFAULT_CLIENT_SECRET]]
    codes = run_job("official", "shopifyapp_webhook.py", storefront, requests=requests, secrets=secrets)

    bad, good = "invalid_hmac", "verified"
    assert codes == [[good, bad, good], [good, bad, good], [bad, good, good], [bad, bad, bad]]


def test_shopifyapi_is_authorized_by_the_merchant(storefront: Storefront) -> None:
    report = run_job(
        "official", "shopifyapi_job.py", storefront, price="12.34", redirect_url="https://app.example/auth?from=shopify"
    )

    assert report["state"] == "nonce & more"
    assert report["genuine"] == [True, False]
    assert report["written"]["productVariants"][0] == {"price": "12.34", "compareAtPrice": None}
    assert storefront.price(report["sent"]) == "12.34"
    assert report["wrong_token"] == 401
    assert report["shop"] == "calibr-sandbox.myshopify.com"
    assert report["granted"] == ["write_products"]
    assert report["token"].startswith("shpat_")


def test_admin_api_client_reads_retries_and_writes(storefront: Storefront) -> None:
    faults = [{"kind": "too_many_requests", "retry_after_s": 0.1}, {"kind": "server_error"}]
    for fault in faults:
        storefront.control.request("POST", "/sandbox/faults", {**fault, "rate": 1.0, "count": 1})

    report = run_job("node", "admin_api_client_job.mjs", storefront, token=DEFAULT_TOKEN, price="3.21")

    assert (report["shop"], report["retried"]) == ("Calibr Sandbox", 2)
    assert report["written"]["productVariants"] == [{"id": report["sent"], "price": "3.21"}]
    assert storefront.price(report["sent"]) == "3.21"
    assert report["cost"]["requestedQueryCost"] == 10
    assert report["refused"][0] | {"message": ""} == {
        "field": ["variants", "0", "price"], "message": "", "code": "GREATER_THAN_OR_EQUAL_TO",
    }  # fmt: skip
    assert report["unknown"] == 401
    assert report["wrong"] == ["Field 'nothing' doesn't exist on type 'Shop'"]


class _Received:
    """The webhooks that came in."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._seen = 0
        self._arrived = threading.Semaphore(0)

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        self._arrived.release()

    def wait_for_one_more(self) -> None:
        assert self._arrived.acquire(timeout=20), "no webhook came"


@contextmanager
def _receiver() -> Iterator[tuple[str, _Received]]:
    received = _Received()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()
            received.take({"method": "POST", "headers": dict(self.headers), "url": self.path, "body": body})

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", received
        finally:
            server.shutdown()
            thread.join()
