"""Answers "does this connection work, and for what": shop, currency, plan, scopes, API version, latency."""

from datetime import UTC, datetime
from typing import Any

from calibr.connectors.port import Health
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import CHECK
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.shapes import as_list, as_object

REQUIRED_SCOPES: dict[str, str] = {
    "read_products": "read the catalog and its prices",
    "write_products": "write prices",
}


def check(client: ShopifyClient, currency: ShopCurrency, until: float) -> Health:
    """Ask the store about itself. Never raises for a store that fails: that is what the answer says."""
    started = client.throttle.clock()
    try:
        data = client.call(CHECK, {}, rows=3, until=until)
        latency_ms = round((client.throttle.clock() - started) * 1000)
        return _read(client, currency, data, latency_ms)
    except CallError as err:
        now = datetime.now(UTC)
        return Health(
            ok=False,
            latency_ms=None,
            store_name=None,
            currency=None,
            api_version=client.served_version,
            problems=(err.message,),
            checked_at=now,
        )


def missing_scopes(granted: frozenset[str]) -> list[str]:
    """Return the required scopes that are not granted. Writing includes reading, which Shopify may leave unsaid."""
    implied = {f"read_{scope.removeprefix('write_')}" for scope in granted if scope.startswith("write_")}
    return [scope for scope in REQUIRED_SCOPES if scope not in granted | implied]


def _read(client: ShopifyClient, currency: ShopCurrency, data: dict[str, Any], latency_ms: int) -> Health:
    shop = as_object(data.get("shop"), "shop")
    code = currency.note(shop)
    installation = as_object(data.get("currentAppInstallation"), "currentAppInstallation")
    listed = as_list(installation.get("accessScopes"), "accessScopes")
    scopes = sorted({str(as_object(scope, "access scope").get("handle")) for scope in listed})
    problems = [
        f"The access token lacks the scope {scope}, which is needed to {REQUIRED_SCOPES[scope]}."
        for scope in missing_scopes(frozenset(scopes))
    ]
    asked, served = client.config.api_version, client.served_version
    if served is not None and served != asked:
        problems.append(f"The store answers with API version {served} instead of {asked}; Calibr has to be updated.")
    plan = shop.get("plan")
    return Health(
        ok=not problems,
        latency_ms=latency_ms,
        store_name=str(shop.get("name")),
        currency=code,
        api_version=served or asked,
        scopes=tuple(scopes),
        problems=tuple(problems),
        checked_at=datetime.now(UTC),
        plan=str(plan["publicDisplayName"]) if isinstance(plan, dict) and plan.get("publicDisplayName") else None,
    )
