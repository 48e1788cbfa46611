"""Shopify's own clients, as they come from the registries, against the sandbox."""

from typing import Any

import pytest
from clients_of_others import Storefront, everything, run_job
from webhook_receiver import await_that, receiving

from calibr_sandbox.config import DEFAULT_CLIENT_SECRET, DEFAULT_TOKEN

HOUR = {"advance_s": 3_600}


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
    control, variant = storefront.control, next(iter(everything(storefront.control)))
    with receiving() as receiver:
        control.request("POST", "/sandbox/webhooks", {"topic": "products/update", "url": receiver.url})
        for count, step in enumerate((None, ("app/secret", {"client_secret": "shpss_new"}), ("clock", HOUR)), start=1):
            if step is not None:
                assert control.request("POST", f"/sandbox/{step[0]}", step[1]).status == 200
            control.request("POST", f"/sandbox/variants/{variant}", {"price": f"{count}.00"})
            await_that(lambda count=count: len(receiver.tries) == count)

    received = [
        {"method": "POST", "headers": headers, "url": "/", "body": body.decode()} for headers, body in receiver.tries
    ]
    requests = [*received, {**received[0], "body": received[0]["body"] + " "}]
    secrets = [[DEFAULT_CLIENT_SECRET, None], ["shpss_new", None], ["shpss_new", DEFAULT_CLIENT_SECRET]]
    codes = run_job("official", "shopifyapp_webhook.py", storefront, requests=requests, secrets=secrets)

    bad, good = "invalid_hmac", "verified"
    assert codes == [[good, bad, good], [good, bad, good], [bad, good, good], [bad, bad, bad]]


def test_shopifyapp_exports_and_changes_everything_in_bulk(storefront: Storefront) -> None:
    held = {
        gid: [variant["price"], variant["compareAtPrice"]] for gid, variant in everything(storefront.control).items()
    }

    report = run_job("official", "shopifyapp_bulk.py", storefront, price="42.00")

    assert report["variants"] == held
    assert len(report["products"]) == report["parents"]
    assert report["line_numbers"] == list(range(report["parents"]))
    assert not any(report["errors"])
    assert {variant["price"] for variant in everything(storefront.control).values()} == {"42.00"}


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
    assert report["deprecated"] == 1
    assert report["wrong"] == ["Field 'nothing' doesn't exist on type 'Shop'"]
