"""Addresses of webhooks: what Shopify takes, and what lies on this machine."""

import pytest

from calibr_sandbox.webhook_addresses import is_near, near, refusal_of

INTERNAL = "Address cannot be a Shopify or an internal domain"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/hook",
        "https://example.com:8443/hook?shop=1",
        "https://münchen.example/hook",
        "https://8.8.8.8/hook",
        "https://notmyshopify.com/hook",
        "pubsub://my-project:my-topic",
        "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/42/source",
        "http://127.0.0.1:8000/hook",
        "http://[::1]:8000/hook",
        "http://localhost/hook",
    ],
)
def test_good_addresses(address: str) -> None:
    assert refusal_of(address) is None


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "Address can't be blank"),
        ("hook", "Address is invalid"),
        ("https://", "Address is invalid"),
        ("https://exa mple.com/", "Address is invalid"),
        ("https://example.com:99999/", "Address is invalid"),
        ("https://[::1/", "Address is invalid"),
        ("pubsub://only-project", "Address is invalid"),
        ("arn:aws:s3:::bucket", "Address is invalid"),
        ("kafka://broker/topic", "Address protocol kafka:// is not supported"),
        ("HTTP://EXAMPLE.COM/", "Address protocol http:// is not supported"),
        ("http://127.0.0.1@example.com/", "Address protocol http:// is not supported"),
        ("https://127.0.0.1/", INTERNAL),
        ("https://192.168.1.1/", INTERNAL),
        ("https://[fe80::1]/", INTERNAL),
        ("https://server/", INTERNAL),
        ("https://printer.local/", INTERNAL),
        ("https://app.shopify.com./", INTERNAL),
        ("https://x.MYSHOPIFY.com/", INTERNAL),
    ],
)
def test_refused_addresses(address: str, message: str) -> None:
    assert refusal_of(address) == message


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1/", "http://localhost.example.com/", "http://127.0.0.1:0/", "http://127.0.0.1/\n", ""]
)
def test_only_this_machine_is_near(address: str) -> None:
    assert not is_near(address)
    assert near(address) is None
