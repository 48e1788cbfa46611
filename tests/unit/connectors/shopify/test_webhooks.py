"""Shopify's webhooks, byte by byte: signature, shop, headers, and what a product's body says."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.connectors.port import RemotePrice
from calibr.connectors.port.webhooks import GroupNotice, WebhookKind
from calibr.connectors.shopify import ShopifyWebhooks
from calibr.core.errors import CalibrError, Invalid, Unauthenticated

READER = ShopifyWebhooks()
SHOP = {"shop_url": "https://shoes.myshopify.com"}
SECRETS = {"access_token": "shpat_x", "client_secret": "new", "previous_client_secret": "old"}


def headers(body: bytes, signed_by: str = "new", **other: str) -> dict[str, str]:
    digest = base64.b64encode(hmac.new(signed_by.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "X-Shopify-Hmac-Sha256": digest,
        "X-Shopify-Shop-Domain": "shoes.myshopify.com",
        "X-Shopify-Topic": "products/update",
        "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "X-Shopify-Triggered-At": "2026-03-29T18:00:27.877041743Z",
        **{f"X-Shopify-{name.replace('_', '-')}": value for name, value in other.items()},
    }


@pytest.mark.parametrize("secret", ["new", "old"])
def test_either_secret_signs(secret: str) -> None:
    found = READER.authenticate(headers(b"{}", secret), b"{}", SHOP, SECRETS)

    assert (found.delivery_id, found.topic, found.kind) == (
        "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "products/update", WebhookKind.GROUP_CHANGED,
    )  # fmt: skip
    assert found.event_id == "98880550-7158-44d4-b7cd-2c97c8a091b5"
    assert found.triggered_at == datetime(2026, 3, 29, 18, 0, 27, 877041, UTC)


def test_names_of_headers_are_taken_in_any_case() -> None:
    given_in_lower = {name.lower(): value for name, value in headers(b"{}").items()}

    assert READER.authenticate(given_in_lower, b"{}", SHOP, SECRETS).topic == "products/update"


@pytest.mark.parametrize(
    "secrets", [{}, {"access_token": "shpat_x"}, {"client_secret": ""}, {"client_secret": "third"}]
)
def test_without_the_right_secret_nothing_is_signed(secrets: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        READER.authenticate(headers(b"{}", ""), b"{}", SHOP, secrets)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_only_the_very_bytes_are_signed(body: bytes, other: bytes) -> None:
    signed = headers(body)
    if body == other:
        assert READER.authenticate(signed, other, SHOP, SECRETS)
        return
    with pytest.raises(Unauthenticated):
        READER.authenticate(signed, other, SHOP, SECRETS)


@pytest.mark.parametrize("domain", ["", "socks.myshopify.com", "shoes.myshopify.com.evil.example"])
def test_a_delivery_of_another_shop_of_the_same_app_is_refused(domain: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        READER.authenticate(headers(b"{}", Shop_Domain=domain), b"{}", SHOP, SECRETS)

    assert caught.value.code == "webhook.shop"


@pytest.mark.parametrize("time", ["", "yesterday", "2026-99-29T18:00:27Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_cannot_be_read_is_none(time: str) -> None:
    assert READER.authenticate(headers(b"{}", Triggered_At=time), b"{}", SHOP, SECRETS).triggered_at is None


def product(**fields: object) -> bytes:
    return json.dumps({"id": 7, "admin_graphql_api_id": "gid://shopify/Product/7", **fields}).encode()


def test_null_is_not_zero_and_an_amount_that_does_not_fit_is_none() -> None:
    rows = [
        {"id": 1, "price": "10.00", "compare_at_price": None},
        {"id": 2, "price": "0.00", "compare_at_price": "0.00"},
        {"id": 3, "price": "10.001", "compare_at_price": None},
        {"id": 4, "price": None, "compare_at_price": None},
        {"id": 5, "price": "1.00", "compare_at_price": "free"},
    ]

    notice = READER.read_group(WebhookKind.GROUP_CHANGED, product(variants=rows), "USD")

    assert [(p.external_id, p.unit_amount, p.compare_at) for p in notice.prices] == [
        ("1", 1000, None), ("2", 0, 0), ("3", None, None), ("4", None, None), ("5", None, None),
    ]  # fmt: skip
    assert [bool(p.fault) for p in notice.prices] == [False, False, True, True, True]


def test_variants_beyond_those_in_full_are_named() -> None:
    gids = [{"admin_graphql_api_id": f"gid://shopify/ProductVariant/{n}", "updated_at": "x"} for n in (3, 2, 1)]
    body = product(variants=[{"id": 1, "price": "1.00", "compare_at_price": None}], variant_gids=gids)

    notice = READER.read_group(WebhookKind.GROUP_CHANGED, body, "USD")

    assert notice == GroupNotice("7", (RemotePrice("1", "USD", 100, None),), ("3", "2"))


def test_a_deletion_says_only_which_product() -> None:
    assert READER.read_group(WebhookKind.GROUP_DELETED, b'{"id": 788032119674292922}', "USD") == GroupNotice(
        "788032119674292922"
    )


@given(st.one_of(st.binary(max_size=40), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "variants", "variant_gids", "price", "admin_graphql_api_id"]), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (
        lambda: READER.read_group(WebhookKind.GROUP_CHANGED, body, "JPY"),
        lambda: READER.read_group(WebhookKind.GROUP_DELETED, body, "JPY"),
        lambda: READER.read_scopes(body),
    ):
        try:
            read()
        except Invalid as error:
            assert error.code == "webhook.body"  # noqa: PT017 - either way is right
        except CalibrError as error:
            pytest.fail(f"{error.code} is no answer to bytes")


def test_the_compliance_topics_are_understood_and_not_subscribed_to() -> None:
    understood = {"customers/data_request", "customers/redact", "shop/redact"}

    assert understood.isdisjoint(READER.topics)
    for topic in understood:
        found = READER.authenticate(headers(b"{}", Topic=topic), b"{}", SHOP, SECRETS)
        assert found.kind.value.endswith(("request", "redact"))
