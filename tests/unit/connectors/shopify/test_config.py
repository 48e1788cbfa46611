"""Where a connection may point, and what is said when it may not."""

import pytest

from calibr.connectors.port import ConnectorFactory
from calibr.connectors.shopify import create
from calibr.connectors.shopify.client import CallTimes
from calibr.connectors.shopify.config import parse_config
from calibr.core.errors import Invalid

SECRETS = {"access_token": "shpat_0123456789abcdef"}


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("https://my-store.myshopify.com", "https://my-store.myshopify.com/admin/api/2026-10/graphql.json"),
        ("https://MY-STORE.myshopify.com/", "https://my-store.myshopify.com/admin/api/2026-10/graphql.json"),
        ("https://my-store.myshopify.com:443", "https://my-store.myshopify.com/admin/api/2026-10/graphql.json"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/admin/api/2026-10/graphql.json"),
        ("http://[::1]:8080", "http://[::1]:8080/admin/api/2026-10/graphql.json"),
    ],
)
def test_a_store_or_a_sandbox_is_accepted(given: str, endpoint: str) -> None:
    assert parse_config({"shop_url": given}, SECRETS).endpoint == endpoint


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "",
        "my-store.myshopify.com",
        "http://my-store.myshopify.com",
        "https://my-store.myshopify.com/admin",
        "https://my-store.myshopify.com?x=1",
        "https://my-store.myshopify.com#x",
        "https://my-store.myshopify.com:8443",
        "https://my-store.myshopify.com:port",
        "https://user:pass@my-store.myshopify.com",
        "https://myshopify.com",
        "https://.myshopify.com",
        "https://evil.example/.myshopify.com",
        "https://my-store.myshopify.com.evil.example",
        "https://a.b.myshopify.com",
        "https://my_store.myshopify.com",
        "https://127.0.0.1",
        "http://localhost:80",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "https://my-store.myshopify.com\n",
        "https://müller.myshopify.com",
        "http://[::1",
    ],
)
def test_any_other_address_is_refused_by_name(given: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": given}, SECRETS)

    assert [fault.path for fault in caught.value.faults] == ["$.config.shop_url"]
    assert "shop_url must be https://<name>.myshopify.com" in caught.value.message


def test_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": "https://user:hunter2@my-store.myshopify.com"}, SECRETS)

    assert "hunter2" not in repr(caught.value)


@pytest.mark.parametrize("token", [None, "", "with space", "line\nbreak", "x" * 513, "schlüssel", 7])
def test_an_unusable_token_is_refused_without_showing_it(token: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": "https://a.myshopify.com"}, {"access_token": token})  # type: ignore[dict-item]

    assert [(fault.path, fault.value) for fault in caught.value.faults] == [("$.secrets.access_token", None)]


@pytest.mark.parametrize("version", ["2025-10", "latest", "unstable", "", None, 202610])
def test_a_version_that_was_never_tested_is_refused(version: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": "https://a.myshopify.com", "api_version": version}, SECRETS)

    assert [fault.path for fault in caught.value.faults] == ["$.config.api_version"]


def test_unknown_fields_are_named_and_unknown_secrets_stay_hidden() -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": "https://a.myshopify.com", "shop": "x"}, {**SECRETS, "acces_token": "shpat_typo"})

    assert {fault.path for fault in caught.value.faults} == {"$.config.shop", "$.secrets.acces_token"}
    assert "shpat_typo" not in repr(caught.value)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({}, {})

    assert len(caught.value.faults) == 2


def test_the_token_shows_in_no_repr() -> None:
    config = parse_config({"shop_url": "https://a.myshopify.com"}, SECRETS)

    assert SECRETS["access_token"] not in repr(config)


def test_making_a_connector_contacts_nobody() -> None:
    factory: ConnectorFactory = create
    connector = factory({"shop_url": "https://a.myshopify.com"}, SECRETS)

    assert connector.kind == "shopify"
    assert connector.request_timeout_s > 0
    connector.close()


@pytest.mark.parametrize("address", ["http://127.0.0.1:5432", "http://127.9.9.9", "http://[::1]:80"])
def test_this_machine_is_reached_only_where_that_is_allowed(address: str) -> None:
    with pytest.raises(Invalid, match="CALIBR_ALLOW_LOOPBACK_STORES=true") as caught:
        create({"shop_url": address}, SECRETS)

    assert [fault.path for fault in caught.value.faults] == ["$.config.shop_url"]
    create({"shop_url": address}, SECRETS, allow_loopback=True).close()


@pytest.mark.parametrize("call_s", [0.4, 1.2, 8.0, 80.0])
def test_the_parts_of_a_call_never_exceed_its_time(call_s: float) -> None:
    times = CallTimes.of(call_s)
    http = times.http().as_dict()
    before_the_first_byte = sum(part or 0 for part in http.values())

    assert times.call_s == pytest.approx(call_s)
    assert before_the_first_byte <= times.answer_s + times.read_s
    assert times.retry_wait_s < times.send_window_s


def test_metafields_are_asked_for_by_name() -> None:
    names = {"product_metafields": ["custom.material", "$app:x.size"], "variant_metafields": ["my-app--1.key_2"]}

    found = parse_config({"shop_url": "https://a.myshopify.com", **names}, SECRETS).metafields

    assert (found.product, found.variant) == (("custom.material", "$app:x.size"), ("my-app--1.key_2",))


@pytest.mark.parametrize("field", ["product_metafields", "variant_metafields"])
@pytest.mark.parametrize(
    "names",
    ["custom.a", None, {}, ["custom"], [7], [""], ["custom.a", "custom.a"], ['c".key"'], ["custom.key') {"], ["a.b\n"],
     [f"custom.k{n:02}" for n in range(51)]],
)  # fmt: skip
def test_a_metafield_that_has_no_name_is_refused(field: str, names: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({"shop_url": "https://a.myshopify.com", field: names}, SECRETS)

    (fault,) = caught.value.faults
    assert fault.path == f"$.config.{field}"
    assert "namespace.key" in fault.rule


APP_SECRETS = {"client_secret": "shpss_0123456789abcdef"}
URL = {"shop_url": "https://a.myshopify.com"}


@pytest.mark.parametrize("method", ["client_credentials", "authorization_code"])
def test_an_app_is_named_with_its_secret(method: str) -> None:
    config = parse_config({**URL, "auth": {"method": method, "client_id": "abc-1"}}, APP_SECRETS)

    assert config.app is not None
    assert (config.method, config.app.client_id, config.access_token) == (method, "abc-1", None)
    assert APP_SECRETS["client_secret"] not in repr(config)


def test_a_pasted_token_is_a_method_like_the_others() -> None:
    assert parse_config({**URL, "auth": {"method": "token"}}, SECRETS) == parse_config(URL, SECRETS)


@pytest.mark.parametrize(
    ("auth", "secrets", "paths"),
    [
        ({"method": "password"}, SECRETS, ["$.config.auth.method"]),
        ({}, SECRETS, ["$.config.auth.method"]),
        ("token", SECRETS, ["$.config.auth"]),
        ({"method": "token", "client_id": "x"}, SECRETS, ["$.config.auth.client_id"]),
        ({"method": "client_credentials"}, APP_SECRETS, ["$.config.auth.client_id"]),
        ({"method": "client_credentials", "client_id": "a b"}, APP_SECRETS, ["$.config.auth.client_id"]),
        (
            {"method": "client_credentials", "client_id": "x"},
            SECRETS,
            ["$.secrets.access_token", "$.secrets.client_secret"],
        ),
        ({"method": "authorization_code", "client_id": "x", "state": "y"}, APP_SECRETS, ["$.config.auth.state"]),
        ({"method": "authorization_code", "client_id": "x"}, {"client_secret": ""}, ["$.secrets.client_secret"]),
    ],
)
def test_a_method_takes_its_own_fields_and_no_others(auth: object, secrets: dict[str, str], paths: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        parse_config({**URL, "auth": auth}, secrets)

    assert [fault.path for fault in caught.value.faults] == paths
    assert not [value for value in secrets.values() if value and value in caught.value.message]
