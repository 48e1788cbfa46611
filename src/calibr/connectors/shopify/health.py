"""Answers "does this connection work, and for what": shop, plan, scopes, API version, latency, rate limit, token."""

from datetime import UTC, datetime, timedelta
from typing import Any

from calibr.connectors.port import Health, ThrottleShare
from calibr.connectors.shopify.bucket import BucketView
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import CHECK
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.scopes import REQUIRED_SCOPES, missing_scopes
from calibr.connectors.shopify.shapes import as_list, as_object


def check(client: ShopifyClient, currency: ShopCurrency, until: float) -> Health:
    """Ask the store about itself. Never raises for a store that fails: that is what the answer says."""
    started = client.throttle.clock()
    try:
        data = client.call(CHECK, {}, rows=3, until=until)
        latency_ms = round((client.throttle.clock() - started) * 1000)
        return _read(client, currency, data, latency_ms)
    except CallError as err:
        return Health(
            ok=False,
            latency_ms=None,
            store_name=None,
            currency=None,
            api_version=client.served_version,
            problems=(err.message,),
            checked_at=datetime.now(UTC),
            asked_version=client.config.api_version,
            auth_method=client.config.method.value,
            token_expires_at=_token_end(client),
            throttle=_share(client.throttle.view()),
        )


def _read(client: ShopifyClient, currency: ShopCurrency, data: dict[str, Any], latency_ms: int) -> Health:
    shop = as_object(data.get("shop"), "shop")
    code = currency.note(shop)
    installation = as_object(data.get("currentAppInstallation"), "currentAppInstallation")
    listed = as_list(installation.get("accessScopes"), "accessScopes")
    scopes = sorted({str(as_object(scope, "access scope").get("handle")) for scope in listed})
    missing = missing_scopes(scopes)
    asked, served = client.config.api_version, client.served_version
    plan = shop.get("plan")
    return Health(
        ok=not missing,
        latency_ms=latency_ms,
        store_name=str(shop.get("name")),
        currency=code,
        api_version=served or asked,
        scopes=tuple(scopes),
        problems=tuple(f"The app lacks the scope {scope}, which is needed to {_purpose(scope)}." for scope in missing),
        checked_at=datetime.now(UTC),
        plan=str(plan["publicDisplayName"]) if isinstance(plan, dict) and plan.get("publicDisplayName") else None,
        asked_version=asked,
        missing_scopes=tuple(missing),
        warnings=_warnings(asked, served),
        throttle=_share(client.throttle.view()),
        auth_method=client.config.method.value,
        token_expires_at=_token_end(client),
    )


def _purpose(scope: str) -> str:
    return REQUIRED_SCOPES[scope]


def _warnings(asked: str, served: str | None) -> tuple[str, ...]:
    """A version that is not there any more is answered by the next one, which may mean other things by our words."""
    if served is None or served == asked:
        return ()
    return (f"The store answers with API version {served} instead of {asked}; update Calibr.",)


def _share(view: BucketView) -> ThrottleShare | None:
    if not view.known:
        return None
    used = 100 * (view.maximum - min(view.available, view.maximum)) // view.maximum
    return ThrottleShare(used, view.available, view.maximum, view.restore_rate, view.granted, view.refused)


def _token_end(client: ShopifyClient) -> datetime | None:
    left = client.tokens.expires_in_s()
    return None if left is None else datetime.now(UTC) + timedelta(seconds=round(left))
