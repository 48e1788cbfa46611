"""What is asked of the authorization endpoints, what an answer means, and which way back is believed."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.methods import AppAuth, AuthMethod
from calibr.connectors.shopify.oauth import OAuth, sign
from calibr.core.errors import Invalid

SECRET = "shpss_0123456789abcdef"
APP = AppAuth(AuthMethod.AUTHORIZATION_CODE, "client-1", SECRET)
CONFIG = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, app=APP)
PAIR = {
    "access_token": "shpat_a",
    "scope": "write_products,read_markets",
    "expires_in": 3600,
    "refresh_token": "shprt_r",
    "refresh_token_expires_in": 7776000,
}


class Endpoint:
    """Answers every request in one way and keeps what was asked."""

    def __init__(self, reply: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.urls: list[str] = []

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(dict(parse_qsl(request.content.decode())))
        self.urls.append(str(request.url))
        return self.reply(request)


def oauth(reply: Callable[[httpx2.Request], httpx2.Response]) -> tuple[OAuth, Endpoint]:
    endpoint = Endpoint(reply)
    return OAuth(CONFIG, APP, transport=httpx2.MockTransport(endpoint.handle)), endpoint


def says(status: int, body: object) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(status, json=body)


def test_each_grant_asks_for_what_it_is() -> None:
    asks, endpoint = oauth(says(200, PAIR))

    asks.by_credentials()
    asks.by_refresh("shprt_old")
    made = asks.by_code("c0de")

    own = {"client_id": "client-1", "client_secret": SECRET}
    assert endpoint.asked == [
        {**own, "grant_type": "client_credentials"},
        {**own, "grant_type": "refresh_token", "refresh_token": "shprt_old"},
        {**own, "code": "c0de", "expiring": "1"},
    ]
    assert set(endpoint.urls) == {"https://test.myshopify.com/admin/oauth/access_token"}
    assert (made.access_token, made.expires_in_s, made.refresh_token) == ("shpat_a", 3600, "shprt_r")
    assert (made.refresh_expires_in_s, made.scopes) == (7776000, ("read_markets", "write_products"))


def test_a_token_without_an_end_is_one() -> None:
    asks, _ = oauth(says(200, {"access_token": "shpat_a", "scope": "write_products"}))

    made = asks.by_code("c0de")

    assert (made.expires_in_s, made.refresh_token, made.refresh_expires_in_s) == (None, None, None)


@pytest.mark.parametrize("life", [0, -1, True, "3600", 10**12, 1.5, None])
def test_a_life_that_is_no_number_of_seconds_counts_as_unsaid(life: object) -> None:
    asks, _ = oauth(says(200, {**PAIR, "expires_in": life}))

    assert asks.by_code("c0de").expires_in_s is None


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired"}, "upstream.unauthorized", False),
        (400, {"error": "shop_not_permitted"}, "upstream.unauthorized", False),
        (401, {}, "upstream.unauthorized", False),
        (403, [], "upstream.unauthorized", False),
        (429, {}, "upstream.throttled", True),
        (500, {}, "upstream.unavailable", True),
        (302, {}, "upstream.unauthorized", False),
        (200, {}, "upstream.protocol", True),
        (200, [], "upstream.protocol", True),
        (200, {"access_token": 7}, "upstream.protocol", True),
        (200, {"access_token": "a b"}, "upstream.protocol", True),
        (200, {"access_token": "shpat_a", "refresh_token": ""}, "upstream.protocol", False),
    ],
)
def test_whatever_is_no_token_is_an_error_that_says_whether_to_try_again(
    status: int, body: object, code: str, *, retryable: bool
) -> None:
    asks, _ = oauth(says(status, body))

    with pytest.raises(CallError) as caught:
        asks.by_credentials()

    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_the_reason_of_a_refusal_is_told_and_a_secret_that_is_echoed_is_not() -> None:
    asks, _ = oauth(says(400, {"error": "invalid", "error_description": f"{SECRET} and shprt_a_long_one are wrong"}))

    with pytest.raises(CallError, match=r"HTTP 400\): invalid: \*\*\* and \*\*\* are wrong") as caught:
        asks.by_refresh("shprt_a_long_one")

    assert SECRET not in str(caught.value)


def test_a_store_that_does_not_answer_may_answer_later() -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("away", request=request)

    asks, _ = oauth(away)

    with pytest.raises(CallError) as caught:
        asks.by_credentials()

    assert (caught.value.code, caught.value.retryable) == ("upstream.unreachable", True)


def test_an_answer_without_end_is_given_up() -> None:
    asks, _ = oauth(lambda _request: httpx2.Response(200, content=b" " * 100_000))

    with pytest.raises(CallError, match="too long"):
        asks.by_credentials()


def test_the_address_of_consent_names_app_scopes_way_back_and_state() -> None:
    asks, _ = oauth(says(200, PAIR))

    url = urlsplit(asks.consent_url("https://calibr.example/v1/oauth/callback", "st.ate"))

    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://test.myshopify.com/admin/oauth/authorize"
    assert parse_qs(url.query) == {
        "client_id": ["client-1"],
        "scope": ["write_products,read_inventory,read_markets"],
        "redirect_uri": ["https://calibr.example/v1/oauth/callback"],
        "state": ["st.ate"],
    }


def returned(**changes: str) -> dict[str, str]:
    query = {"code": "c0de", "shop": "test.myshopify.com", "state": "s", "timestamp": "1337178173", **changes}
    return {**query, "hmac": sign(query, SECRET)}


def test_the_signature_is_that_of_the_documentation() -> None:
    # The example of Shopify's documentation on verifying a callback, with its secret "hush".
    query = {
        "code": "0907a61c0c8d55e99db179b68161bc00",
        "shop": "some-shop.myshopify.com",
        "timestamp": "1337178173",
        "state": "0.6784241404160823",
        "hmac": "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf",
    }

    assert sign(query, "hush") == query["hmac"]


def test_two_queries_never_have_one_signature() -> None:
    assert sign({"code": "a", "shop": "b"}, "s") != sign({"code": "a&shop=b"}, "s")
    assert sign({"a": "b=c"}, "s") != sign({"a=b": "c"}, "s")
    assert sign({"a": "%26"}, "s") != sign({"a": "&"}, "s")


def test_a_signed_way_back_gives_its_code() -> None:
    asks, _ = oauth(says(200, PAIR))

    assert asks.verify_return(returned()) == "c0de"


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({**returned(), "code": "other"}, "query.hmac"),
        ({**returned(), "extra": "1"}, "query.hmac"),
        ({**returned(), "hmac": ""}, "query.hmac"),
        ({**returned(), "hmac": "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 64}, "query.hmac"),
        ({name: value for name, value in returned().items() if name != "hmac"}, "query.hmac"),
        (returned(shop="evil.example"), "query.shop"),
        (returned(shop="test.myshopify.com.evil.example"), "query.shop"),
        (returned(shop="test.myshopify.com\n"), "query.shop"),
        (returned(shop="-test.myshopify.com"), "query.shop"),
        (returned(shop="other.myshopify.com"), "query.shop"),
        (returned(code=""), "query.code"),
        ({"error": "access_denied", "state": "s"}, "query.error"),
        ({}, "query.hmac"),
    ],
)
def test_any_other_way_back_is_refused_by_name(query: dict[str, str], place: str) -> None:
    asks, _ = oauth(says(200, PAIR))

    with pytest.raises(Invalid) as caught:
        asks.verify_return(query)

    assert [fault.path for fault in caught.value.faults] == [place]
    assert caught.value.code == "connection.return"


def test_no_secret_shows_in_a_repr() -> None:
    assert SECRET not in repr(CONFIG)
    assert "shpat_a" not in repr(oauth(says(200, PAIR))[0].by_credentials())
