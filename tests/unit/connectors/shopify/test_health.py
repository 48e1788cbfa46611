"""What a check says about scopes, versions and odd answers."""

from typing import Any

import httpx2
import pytest
from scripted_store import Reply, ScriptedStore, SentCall, answers, breaks, fails, refuses

from calibr.connectors.port import Health
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.health import check
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.scopes import missing_scopes

SHOP = {"name": "Test", "currencyCode": "EUR", "plan": {"publicDisplayName": "Basic"}}


def described(*scopes: str, shop: object = SHOP) -> dict[str, Any]:
    return {"shop": shop, "currentAppInstallation": {"accessScopes": [{"handle": scope} for scope in scopes]}}


def ask(client: ShopifyClient) -> Health:
    return check(client, ShopCurrency(client), client.throttle.clock() + 1)


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ({"write_products", "read_inventory", "read_markets"}, []),
        ({"write_products", "write_inventory", "write_markets"}, []),
        ({"read_products", "read_inventory", "read_markets"}, ["write_products"]),
        ({"write_products", "read_markets", "write_orders"}, ["read_inventory"]),
        (set(), ["write_products", "read_inventory", "read_markets"]),
    ],
)
def test_a_write_scope_includes_its_read_scope(granted: set[str], missing: list[str]) -> None:
    assert missing_scopes(frozenset(granted)) == missing


def test_a_healthy_store(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on("CalibrCheck", described("write_products", "read_inventory", "read_markets"))

    health = ask(client)

    assert (health.ok, health.currency, health.plan, health.store_name) == (True, "EUR", "Basic", "Test")
    assert health.scopes == ("read_inventory", "read_markets", "write_products")
    assert (health.missing_scopes, health.problems, health.warnings) == ((), (), ())
    assert (health.auth_method, health.token_expires_at) == ("token", None)
    assert health.throttle is not None
    assert (health.throttle.used_percent, health.throttle.calls, health.throttle.throttled) == (5, 1, 0)


def test_a_scope_that_is_missing_is_named_with_what_it_is_for(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on("CalibrCheck", described("write_products", "read_markets"))

    health = ask(client)

    assert (health.ok, health.missing_scopes) == (False, ("read_inventory",))
    assert health.problems == (
        "The app lacks the scope read_inventory, which is needed to read costs, which margins are computed from.",
    )


def test_a_version_that_fell_forward_is_a_warning(store: ScriptedStore, client: ShopifyClient) -> None:
    def newer(call: SentCall) -> httpx2.Response:
        response = answers(described("write_products", "read_inventory", "read_markets"))(call)
        response.headers["X-Shopify-API-Version"] = "2027-07"
        return response

    store.on("CalibrCheck", newer)

    health = ask(client)

    assert (health.ok, health.api_version, health.asked_version) == (True, "2027-07", "2026-10")
    assert "answers with API version 2027-07 instead of 2026-10" in health.warnings[0]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (fails(401), "refuses the access token (HTTP 401)"),
        (fails(402), "frozen (HTTP 402)"),
        (fails(404), "check shop_url"),
        (fails(503), "failed (HTTP 503)"),
        (refuses("ACCESS_DENIED", "no currentAppInstallation"), "lacks a scope"),
        (breaks(httpx2.ConnectTimeout), "nothing was sent"),
        (answers({}), "no shop that is an object"),
        (answers(described(shop={"currencyCode": "XYZ"})), "is not an ISO 4217 currency"),
        (answers({"shop": SHOP, "currentAppInstallation": None}), "no currentAppInstallation"),
    ],
)
def test_whatever_fails_is_a_problem_in_words(
    store: ScriptedStore,
    client: ShopifyClient,
    reply: Reply,
    problem: str,
) -> None:
    store.on("CalibrCheck", reply)

    health = ask(client)

    assert not health.ok
    assert problem in " ".join(health.problems)
