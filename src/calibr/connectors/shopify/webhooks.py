"""Shopify's webhooks: the signature over the raw body, the headers, and what a product's body says of prices."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from calibr.connectors.port import RemotePrice
from calibr.connectors.port.webhooks import GroupNotice, WebhookDelivery, WebhookKind
from calibr.connectors.shopify.config import is_loopback
from calibr.connectors.shopify.gids import PRODUCT, VARIANT, from_gid, is_short_id
from calibr.connectors.shopify.methods import WEBHOOK_SECRETS
from calibr.connectors.shopify.money import Unreadable, read_amount, read_optional_amount
from calibr.core.errors import Fault, Invalid, Unauthenticated

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""A product with 2,048 variants names each in about 110 bytes and shows the first 100 in about 1,200."""

KINDS: Final = MappingProxyType({
    "products/create": WebhookKind.GROUP_CHANGED,
    "products/update": WebhookKind.GROUP_CHANGED,
    "products/delete": WebhookKind.GROUP_DELETED,
    "bulk_operations/finish": WebhookKind.BULK_FINISHED,
    "app/uninstalled": WebhookKind.UNINSTALLED,
    "app/scopes_update": WebhookKind.SCOPES_CHANGED,
    "customers/data_request": WebhookKind.DATA_REQUEST,
    "customers/redact": WebhookKind.CUSTOMER_REDACT,
    "shop/redact": WebhookKind.SHOP_REDACT,
})  # fmt: skip
COMPLIANCE: Final = frozenset({WebhookKind.DATA_REQUEST, WebhookKind.CUSTOMER_REDACT, WebhookKind.SHOP_REDACT})
TOPICS: Final = tuple(topic for topic, kind in KINDS.items() if kind not in COMPLIANCE)
"""What can be subscribed to by the API; the compliance topics stand in the app's configuration only."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,255}")


class ShopifyWebhooks:
    """See `connectors.port.webhooks.WebhookReader`."""

    max_body_bytes: int = MAX_BODY_BYTES
    topics: tuple[str, ...] = TOPICS

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, config: Mapping[str, object], secrets: Mapping[str, str]
    ) -> WebhookDelivery:
        """Check the signature first, then that the delivery is of this shop: one app signs for all its shops alike."""
        given = {name.lower(): value for name, value in headers.items()}
        if not _is_signed(given.get("x-shopify-hmac-sha256", ""), body, secrets):
            raise Unauthenticated("webhook.signature", "The signature is not that of this app over these bytes.")
        if not _is_of_shop(given.get("x-shopify-shop-domain", ""), config.get("shop_url")):
            raise Unauthenticated("webhook.shop", "The delivery is of another shop than this connection.")
        topic = _required(given, "x-shopify-topic").lower()
        return WebhookDelivery(
            delivery_id=_required(given, "x-shopify-webhook-id"),
            topic=topic,
            kind=KINDS.get(topic, WebhookKind.OTHER),
            event_id=given.get("x-shopify-event-id") or None,
            triggered_at=_time(given.get("x-shopify-triggered-at", "")),
        )

    def read_group(self, kind: WebhookKind, body: bytes, currency: str) -> GroupNotice:
        """Read a product. Of more than 100 variants only ids come, which stand in `others`."""
        product = _object(body)
        group = _short_id(PRODUCT, product, "id")
        if kind is WebhookKind.GROUP_DELETED:
            return GroupNotice(group)
        prices = tuple(_prices(product, currency))
        shown = {price.external_id for price in prices}
        named = [_short_id(VARIANT, each, "variant_gids") for each in _rows(product, "variant_gids")]
        return GroupNotice(group, prices, tuple(dict.fromkeys(each for each in named if each not in shown)))

    def read_scopes(self, body: bytes) -> tuple[str, ...]:
        """Read the scopes after the change."""
        current = _object(body).get("current")
        if not isinstance(current, list) or not all(isinstance(scope, str) for scope in current):
            raise _unreadable("current", "must be a list of scopes")
        return tuple(current)


def _is_signed(signature: str, body: bytes, secrets: Mapping[str, str]) -> bool:
    """Compare with every secret: after a rotation Shopify may sign with the old one for up to an hour."""
    is_right = False
    for name in WEBHOOK_SECRETS:
        secret = secrets.get(name)
        if secret:
            digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
            is_right |= hmac.compare_digest(digest, signature.encode("ascii", "replace"))
    return is_right


def _is_of_shop(domain: str, shop_url: object) -> bool:
    """A sandbox store on this machine may call itself what it likes."""
    host = urlsplit(shop_url).hostname if isinstance(shop_url, str) else None
    return host is not None and (is_loopback(host) or domain.lower() == host)


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not _PLAIN.fullmatch(value):
        fault = Fault(f"header.{name}", ascii(value[:80]), "must have 1 to 255 visible ASCII characters")
        raise Invalid("webhook.headers", f"{fault.path} {fault.rule}.", faults=(fault,))
    return value


def _time(text: str) -> datetime | None:
    """The time of the store's clock; one that cannot be read is none, since nothing depends on it."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable("$", "must be JSON") from error
    if not isinstance(parsed, dict):
        raise _unreadable("$", "must be an object")
    return parsed


def _rows(product: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = product.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unreadable(name, "must be a list of objects")
    return rows


def _short_id(kind: str, thing: Mapping[str, Any], what: str) -> str:
    """The number of a product or variant, by its global id or by its own."""
    short = from_gid(kind, thing.get("admin_graphql_api_id")) or str(thing.get("id", ""))
    if not is_short_id(short):
        raise _unreadable(what, f"must hold the id of a {kind}")
    return short


def _prices(product: Mapping[str, Any], currency: str) -> Iterator[RemotePrice]:
    for row in _rows(product, "variants"):
        external_id = _short_id(VARIANT, row, "variants")
        amount = read_amount(row.get("price"), currency)
        compare_at = read_optional_amount(row.get("compare_at_price"), currency)
        if isinstance(amount, Unreadable):
            yield RemotePrice(external_id, currency, None, None, fault=amount.rule)
        elif isinstance(compare_at, Unreadable):
            yield RemotePrice(external_id, currency, None, None, fault=compare_at.rule)
        else:
            yield RemotePrice(external_id, currency, amount, compare_at)


def _unreadable(path: str, rule: str) -> Invalid:
    fault = Fault(path, None, rule)
    return Invalid("webhook.body", f"The body of the webhook cannot be read: {path} {rule}.", faults=(fault,))
