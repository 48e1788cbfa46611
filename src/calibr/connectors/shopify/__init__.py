"""Shopify over the Admin GraphQL API. Features see the port; only the composition root names this package."""

from collections.abc import Mapping

from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.connector import KIND, ShopifyConnector

__all__ = ["KIND", "ShopifyConnector", "create"]


def create(config: Mapping[str, object], secrets: Mapping[str, str]) -> ShopifyConnector:
    """Make a connector from a connection's settings, without any I/O.

    `config` holds `shop_url` and optionally `api_version`, `secrets` holds `access_token`. Raises `core.errors.Invalid`
    naming each wrong field.
    """
    return ShopifyConnector(parse_config(config, secrets))
