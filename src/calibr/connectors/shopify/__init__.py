"""Shopify over the Admin GraphQL API. Features see the port; only the composition root names this package."""

from collections.abc import Mapping

from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.connector import KIND, ShopifyConnector
from calibr.connectors.shopify.throttle import CALL_S
from calibr.connectors.shopify.webhooks import ShopifyWebhooks
from calibr.core.errors import Fault, Invalid

__all__ = ["KIND", "ShopifyConnector", "ShopifyWebhooks", "create"]


def create(
    config: Mapping[str, object],
    secrets: Mapping[str, str],
    *,
    allow_loopback: bool = False,
    call_s: float = CALL_S,
) -> ShopifyConnector:
    """Make a connector from a connection's settings, without any I/O.

    `config` holds `shop_url` and optionally `api_version` and `auth`, `secrets` what the method of `auth` takes. Raises
    `core.errors.Invalid` naming each wrong field.

    Sandbox stores need `allow_loopback`: without it a tenant could make this program speak to
    whatever else listens on its machine. No call is in flight for longer than `call_s` seconds.
    """
    store = parse_config(config, secrets)
    if store.is_loopback and not allow_loopback:
        rule = "must be https://<name>.myshopify.com: stores on this machine need CALIBR_ALLOW_LOOPBACK_STORES=true"
        fault = Fault("$.config.shop_url", store.shop_url, rule)
        raise Invalid("connection.config", f"The Shopify connection is not valid: shop_url {rule}.", faults=(fault,))
    return ShopifyConnector(store, call_s=call_s)
