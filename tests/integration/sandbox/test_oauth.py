"""The OAuth grants: each way to a token, how long it lives, what ends it, and what it may do."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from webhook_receiver import await_that, receiving

from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from calibr_sandbox.oauth import TOKEN_EXCHANGE, sign_query
from calibr_sandbox.session_token import Audience, make_session_token
from calibr_sandbox.testing import StartedSandbox, Starter

BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"
CLIENT = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
CREDENTIALS = {**CLIENT, "grant_type": "client_credentials"}
DAY, THIRTY_DAYS, NINETY_DAYS = 86_400, 30 * 86_400, 90 * 86_400
READ = "{ productVariants(first: 1) { nodes { id } } }"

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def ask(sandbox: StartedSandbox) -> Ask:
    """Ask the token endpoint with JSON."""

    def post(**fields: object) -> tuple[int, dict[str, Any]]:
        answer = sandbox.client.request("POST", "/admin/oauth/access_token", fields)
        return answer.status, answer.body

    return post


def _status(sandbox: StartedSandbox, token: str) -> int:
    """What the API says to a token."""
    with SandboxClient(sandbox.url, token) as client:
        return client.graphql("{ shop { id } }").status


def _authorize(sandbox: StartedSandbox, **parameters: str) -> tuple[int, str, bytes]:
    asked = {"client_id": DEFAULT_CLIENT_ID, "redirect_uri": "https://app.example/back?x=1", "state": "s t&%1"}
    answer = sandbox.client.request("GET", f"/admin/oauth/authorize?{urlencode({**asked, **parameters})}")
    return answer.status, answer.headers.get("location", ""), answer.body


def _code(sandbox: StartedSandbox, **parameters: str) -> str:
    _, location, _ = _authorize(sandbox, **parameters)
    return dict(parse_qsl(urlsplit(location).query))["code"]


def _expiring(sandbox: StartedSandbox, ask: Ask) -> dict[str, Any]:
    return ask(**CLIENT, code=_code(sandbox), expiring=1)[1]


def _refresh(ask: Ask, pair: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return ask(**CLIENT, grant_type="refresh_token", refresh_token=pair["refresh_token"])


def test_client_credentials_give_a_token_for_a_day(sandbox: StartedSandbox, ask: Ask) -> None:
    status, granted = ask(**CREDENTIALS)

    assert (status, granted["expires_in"]) == (200, 86_399)
    assert granted["access_token"].startswith("shpat_")
    assert "refresh_token" not in granted
    assert _status(sandbox, granted["access_token"]) == 200
    sandbox.clock.now += DAY
    assert _status(sandbox, granted["access_token"]) == 401


def test_the_token_endpoint_takes_a_form_too(sandbox: StartedSandbox) -> None:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/admin/oauth/access_token", urlencode(CREDENTIALS), headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()

    assert response.status == 200
    assert b'"expires_in":86399' in body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_id": "who"}, "invalid_request"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": None}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "never"}, "invalid_request"),
        ({"grant_type": TOKEN_EXCHANGE}, "invalid_request"),
    ],
)
def test_a_refusal_has_the_code_of_oauth(ask: Ask, change: dict[str, Any], code: str) -> None:
    status, body = ask(**{**CREDENTIALS, **change})

    assert (status, body["error"]) == (400, code)
    assert body["error_description"]


def test_a_shop_of_another_organization_does_not_permit_client_credentials(sandbox: StartedSandbox, ask: Ask) -> None:
    sandbox.client.request("POST", "/sandbox/app", {"permitted": False})

    status, body = ask(**CREDENTIALS)

    assert (status, body["error"]) == (400, "shop_not_permitted")
    assert body["error_description"] == "Client credentials cannot be performed on this shop."


def test_the_merchant_is_sent_back_with_a_signed_code_that_works_once(sandbox: StartedSandbox, ask: Ask) -> None:
    status, location, _ = _authorize(sandbox)

    told = dict(parse_qsl(urlsplit(location).query))
    assert status == 302
    assert location.startswith("https://app.example/back?x=1&")
    assert (told["x"], told["state"], told["shop"]) == ("1", "s t&%1", "calibr-sandbox.myshopify.com")
    assert told.pop("hmac") == sign_query(told, DEFAULT_CLIENT_SECRET)
    assert set(told) == {"code", "host", "shop", "state", "timestamp", "x"}
    status, granted = ask(**CLIENT, code=told["code"])
    assert status == 200
    assert "expires_in" not in granted
    assert _status(sandbox, granted["access_token"]) == 200
    status, body = ask(**CLIENT, code=told["code"])
    assert status == 400
    assert body["error_description"] == "The authorization code was not found or was already used"


def test_a_code_grows_old(sandbox: StartedSandbox, ask: Ask) -> None:
    code = _code(sandbox)
    sandbox.clock.now += 601

    assert ask(**CLIENT, code=code)[0] == 400


def test_a_token_without_an_end_is_the_same_each_time(sandbox: StartedSandbox, ask: Ask) -> None:
    first, second = (ask(**CLIENT, code=_code(sandbox))[1] for _ in range(2))
    sandbox.clock.now += 10 * NINETY_DAYS

    assert first == second
    assert _status(sandbox, first["access_token"]) == 200


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"client_id": "who"}, b"Could not find Shopify API application with api_key who"),
        ({"redirect_uri": "javascript:alert(1)"}, b"The redirect_uri is not whitelisted"),
        ({"redirect_uri": ""}, b"The redirect_uri is not whitelisted"),
        ({"scope": "read_products,DROP TABLE"}, b"'DROP' does not look like a scope"),
    ],
)
def test_a_bad_request_for_authorization_is_not_sent_back(
    unchanged: StartedSandbox, parameters: dict[str, str], said: bytes
) -> None:
    status, location, body = _authorize(unchanged, **parameters)

    assert (status, location) == (400, "")
    assert said in body


def test_only_the_redirect_urls_that_were_given_are_taken(start: Starter) -> None:
    sandbox = start(redirect_urls=("https://app.example/auth",))

    assert _authorize(sandbox, redirect_uri="https://app.example/auth")[0] == 302
    assert _authorize(sandbox, redirect_uri="https://app.example/auth/more")[0] == 400


def test_a_merchant_who_says_no_sends_the_browser_back_with_an_error(sandbox: StartedSandbox) -> None:
    sandbox.client.request("POST", "/sandbox/app", {"consents": False})

    told = dict(parse_qsl(urlsplit(_authorize(sandbox)[1]).query))

    assert (told["error"], told["state"]) == ("access_denied", "s t&%1")
    assert "code" not in told


def test_an_expiring_token_lives_an_hour_and_is_refreshed(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    assert (first["expires_in"], first["refresh_token_expires_in"]) == (3_600, NINETY_DAYS)
    assert first["refresh_token"].startswith("shprt_")
    sandbox.clock.now += 3_600
    assert _status(sandbox, first["access_token"]) == 401

    status, second = _refresh(ask, first)

    assert (status, second["expires_in"], second["refresh_token_expires_in"]) == (200, 3_600, NINETY_DAYS)
    assert {second["access_token"], second["refresh_token"]}.isdisjoint(first.values())
    assert _status(sandbox, second["access_token"]) == 200


def test_a_refresh_ends_the_access_token_before_it(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    _refresh(ask, first)

    assert _status(sandbox, first["access_token"]) == 401


def test_a_refresh_may_be_repeated_until_its_answer_is_used(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    second = _refresh(ask, first)[1]
    sandbox.clock.now += 7_200

    status, again = _refresh(ask, first)

    assert (status, again["access_token"], again["refresh_token"]) == (
        *(200, second["access_token"], second["refresh_token"]),
    )
    assert again["expires_in"] == 3_600
    assert _status(sandbox, again["access_token"]) == 200
    third = _refresh(ask, again)[1]
    status, refused = _refresh(ask, first)
    assert (status, refused["error"]) == (400, "invalid_grant")
    assert _status(sandbox, third["access_token"]) == 200


def test_a_refresh_is_repeated_for_thirty_days_at_most(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    _refresh(ask, first)
    sandbox.clock.now += THIRTY_DAYS

    assert _refresh(ask, first)[1]["error"] == "invalid_grant"


def test_a_refresh_token_lives_ninety_days(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    sandbox.clock.now += NINETY_DAYS

    assert _refresh(ask, first)[1]["error"] == "invalid_grant"


def test_a_new_authorization_takes_the_place_of_an_expiring_token(sandbox: StartedSandbox, ask: Ask) -> None:
    first, second = _expiring(sandbox, ask), _expiring(sandbox, ask)

    assert _status(sandbox, first["access_token"]) == 401
    assert _refresh(ask, first)[1]["error"] == "invalid_grant"
    assert _refresh(ask, second)[0] == 200


def _exchange(ask: Ask, token: str, kind: str = "offline", **more: object) -> tuple[int, dict[str, Any]]:
    return ask(
        **CLIENT,
        grant_type=TOKEN_EXCHANGE,
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:id_token",
        requested_token_type=f"urn:shopify:params:oauth:token-type:{kind}-access-token",
        **more,
    )


def test_an_answer_that_was_lost_is_asked_for_again(sandbox: StartedSandbox, ask: Ask) -> None:
    first = _expiring(sandbox, ask)
    rule = {"kind": "drop_after_commit", "count": 1, "operations": ["oauth/access_token"]}
    sandbox.client.request("POST", "/sandbox/faults", rule)

    with pytest.raises((http.client.HTTPException, OSError)):
        _refresh(ask, first)

    assert _status(sandbox, first["access_token"]) == 401  # the refresh has happened
    status, second = _refresh(ask, first)
    assert status == 200
    assert _status(sandbox, second["access_token"]) == 200


@pytest.mark.parametrize(("kind", "status"), [("server_error", 503), ("too_many_requests", 429)])
def test_the_token_endpoint_may_be_out_of_order(sandbox: StartedSandbox, ask: Ask, kind: str, status: int) -> None:
    rule = {"kind": kind, "count": 1, "operations": ["oauth/access_token"]}
    sandbox.client.request("POST", "/sandbox/faults", rule)

    assert [ask(**CREDENTIALS)[0] for _ in range(2)] == [status, 200]


def test_a_fault_that_names_no_operation_spares_the_token_endpoint(sandbox: StartedSandbox, ask: Ask) -> None:
    sandbox.client.request("POST", "/sandbox/faults", {"kind": "server_error"})

    assert ask(**CREDENTIALS)[0] == 200
    assert sandbox.client.graphql(READ).status == 503


def test_a_session_token_is_exchanged(sandbox: StartedSandbox, ask: Ask) -> None:
    session_token = sandbox.client.request("POST", "/sandbox/app/session-token", {"user": 7}).body["session_token"]

    offline, online = _exchange(ask, session_token, expiring=1), _exchange(ask, session_token, "online")

    assert (offline[0], offline[1]["expires_in"]) == (200, 3_600)
    assert (online[0], online[1]["associated_user"]["account_owner"]) == (200, True)
    assert _status(sandbox, offline[1]["access_token"]) == 200
    assert _status(sandbox, online[1]["access_token"]) == 200
    sandbox.clock.now += 71
    assert _exchange(ask, session_token)[1]["error"] == "invalid_subject_token"


@pytest.mark.parametrize(
    "audience",
    [
        Audience("who", DEFAULT_CLIENT_SECRET, "calibr-sandbox.myshopify.com"),
        Audience(DEFAULT_CLIENT_ID, "forged", "calibr-sandbox.myshopify.com"),
        Audience(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, "other.myshopify.com"),
    ],
)
def test_a_foreign_or_forged_session_token_gives_nothing(sandbox: StartedSandbox, ask: Ask, audience: Audience) -> None:
    token = make_session_token(audience, 1, sandbox.shop.clock.now())

    status, body = _exchange(ask, token)

    assert (status, body["error"]) == (400, "invalid_subject_token")


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "e30.e30.e30", "é.é.é"])
def test_what_is_no_session_token_gives_nothing(ask: Ask, token: str) -> None:
    assert _exchange(ask, token)[1]["error"] == "invalid_subject_token"


def test_an_uninstalled_app_has_no_token_left(sandbox: StartedSandbox, ask: Ask) -> None:
    granted, pair = ask(**CREDENTIALS)[1], _expiring(sandbox, ask)

    sandbox.client.request("POST", "/sandbox/app", {"installed": False})

    answer = sandbox.client.graphql("{ shop { id } }")
    assert (answer.status, answer.body) == (401, {"errors": BAD_TOKEN})
    assert _status(sandbox, granted["access_token"]) == 401
    assert _refresh(ask, pair)[1]["error"] == "invalid_grant"
    assert ask(**CREDENTIALS)[1]["error"] == "app_not_installed"
    sandbox.client.request("POST", "/sandbox/app", {"installed": True})
    assert _status(sandbox, granted["access_token"]) == 401
    assert sandbox.client.graphql("{ shop { id } }").status == 200


def test_authorization_installs_the_app_again(sandbox: StartedSandbox, ask: Ask) -> None:
    sandbox.client.request("POST", "/sandbox/app", {"installed": False})

    granted = ask(**CLIENT, code=_code(sandbox, scope="write_products,read_products"))[1]

    assert granted["scope"] == "write_products"
    assert _status(sandbox, granted["access_token"]) == 200


def test_a_revoked_token_is_as_bad_as_an_unknown_one(start: Starter, tmp_path: Path) -> None:
    sandbox = start(db=tmp_path / "kept.db", tokens=("shpat_a", "shpat_b"))
    revoked = sandbox.client.request("POST", "/sandbox/tokens/revoke", {"access_token": "shpat_b"})

    assert revoked.status == 200
    assert (_status(sandbox, "shpat_a"), _status(sandbox, "shpat_b")) == (200, 401)
    assert sandbox.client.request("POST", "/sandbox/tokens/revoke", {"access_token": "shpat_b"}).status == 404
    again = start(db=tmp_path / "kept.db", tokens=("shpat_a", "shpat_b"))
    assert (_status(again, "shpat_a"), _status(again, "shpat_b")) == (200, 401)


def test_grants_outlive_the_server(start: Starter, tmp_path: Path) -> None:
    first = start(db=tmp_path / "kept.db")
    granted = first.client.request("POST", "/admin/oauth/access_token", CREDENTIALS).body
    first.client.request("POST", "/sandbox/app", {"scopes": ["read_products"]})

    second = start(db=tmp_path / "kept.db")

    assert _status(second, granted["access_token"]) == 200
    assert second.client.request("GET", "/sandbox/app").body["scopes"] == ["read_products"]


def test_all_tokens_of_the_app_share_one_bucket(sandbox: StartedSandbox, ask: Ask) -> None:
    one, other = (ask(**CREDENTIALS)[1]["access_token"] for _ in range(2))

    with SandboxClient(sandbox.url, one) as first, SandboxClient(sandbox.url, other) as second:
        spent = first.graphql(READ).cost["throttleStatus"]["currentlyAvailable"]
        assert second.graphql(READ).cost["throttleStatus"]["currentlyAvailable"] < spent
    assert sandbox.client.graphql(READ).cost["throttleStatus"]["currentlyAvailable"] == spent


def test_scopes_are_listed_without_what_they_imply(start: Starter) -> None:
    sandbox = start(scopes=("read_products", "write_products", "read_inventory"))

    listed = sandbox.client.request("GET", "/admin/oauth/access_scopes.json")

    assert [scope["handle"] for scope in listed.body["access_scopes"]] == ["read_inventory", "write_products"]
    assert sandbox.client.graphql(READ).status == 200


def test_scopes_of_a_bad_token_are_not_listed(sandbox: StartedSandbox) -> None:
    with SandboxClient(sandbox.url, "shpat_wrong") as client:
        assert client.request("GET", "/admin/oauth/access_scopes.json").status == 401


def test_write_products_alone_reads_products(start: Starter) -> None:
    sandbox = start(scopes=("write_products",))

    assert sandbox.client.graphql("{ products(first: 1) { nodes { id } } }").data["products"]["nodes"]


def test_a_field_without_its_scope_is_denied_in_shopifys_words(start: Starter) -> None:
    sandbox = start(scopes=("read_inventory",))

    answer = sandbox.client.graphql('{ shop { name } productVariant(id: "gid://shopify/ProductVariant/1") { id } }')

    (error,) = answer.body["errors"]
    assert error["message"] == (
        "Access denied for productVariant field. Required access: `read_products` access scope."
    )
    assert error["path"] == ["productVariant"]
    assert (error["extensions"]["code"], error["extensions"]["requiredAccess"]) == (
        *("ACCESS_DENIED", "`read_products` access scope."),
    )
    assert answer.body["data"] == {"shop": {"name": "Calibr Sandbox"}, "productVariant": None}


def test_a_node_is_no_way_around_a_scope(start: Starter) -> None:
    sandbox = start(scopes=("read_markets",))
    open_to_all = start(db=sandbox.shop.config.db)
    found = open_to_all.client.graphql("{ products(first: 1) { nodes { id } } }").data["products"]["nodes"][0]["id"]

    answer = sandbox.client.graphql(f'{{ node(id: "{found}") {{ id }} }}')

    assert answer.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert answer.body["data"] == {"node": None}


def test_scopes_can_be_taken_away(sandbox: StartedSandbox) -> None:
    assert sandbox.client.graphql(READ).status == 200
    sandbox.client.request("POST", "/sandbox/app", {"scopes": ["read_markets"]})

    assert sandbox.client.graphql(READ).body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    (scope,) = sandbox.client.graphql("{ currentAppInstallation { accessScopes { handle } } }").data[
        "currentAppInstallation"
    ]["accessScopes"]
    assert scope["handle"] == "read_markets"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/sandbox/app", {"instaled": True}, "instaled: is unknown"),
        ("/sandbox/app", {"installed": "yes"}, "installed: 'yes' is neither true nor false"),
        ("/sandbox/app", {"scopes": "read_products"}, "scopes: 'read_products' is no list"),
        ("/sandbox/app", {"scopes": ["sudo"]}, "scope: 'sudo' does not look like a scope"),
        ("/sandbox/app/secret", {"client_secret": ""}, "client_secret: it must be"),
        ("/sandbox/app/secret", {"client_secret": DEFAULT_CLIENT_SECRET}, "client_secret: it must be"),
        ("/sandbox/app/session-token", {"user": "me"}, "user: 'me' is no number"),
        ("/sandbox/clock", {"advance_s": -1}, "advance_s: -1 is no number"),
        ("/sandbox/clock", {}, "advance_s: None is no number"),
    ],
)
def test_bad_input_is_told(unchanged: StartedSandbox, path: str, body: dict[str, Any], said: str) -> None:
    answer = unchanged.client.request("POST", path, body)

    assert answer.status == 400
    assert said in answer.body["error"]


def test_a_rotated_secret_is_in_force_at_once(sandbox: StartedSandbox, ask: Ask) -> None:
    sandbox.client.request("POST", "/sandbox/app/secret", {"client_secret": "shpss_new"})

    assert ask(**CREDENTIALS)[1]["error"] == "invalid_client"
    assert ask(**{**CREDENTIALS, "client_secret": "shpss_new"})[0] == 200


def test_the_old_secret_signs_webhooks_for_an_hour(sandbox: StartedSandbox) -> None:
    signing = sandbox.shop.access.app.signing_secret
    sandbox.client.request("POST", "/sandbox/app/secret", {"client_secret": "shpss_new"})

    assert signing() == DEFAULT_CLIENT_SECRET
    sandbox.clock.now += 3_600
    assert signing() == "shpss_new"


def test_time_is_moved_ahead(sandbox: StartedSandbox, ask: Ask) -> None:
    token = ask(**CREDENTIALS)[1]["access_token"]
    before = sandbox.client.request("GET", "/sandbox/clock").body["now"]

    after = sandbox.client.request("POST", "/sandbox/clock", {"advance_s": DAY}).body["now"]

    assert after == before + DAY
    assert _status(sandbox, token) == 401


def test_a_week_passes_at_once_and_the_result_of_a_bulk_query_is_gone(sandbox: StartedSandbox) -> None:
    assert _finished_bulk_query(sandbox) == {"status": "COMPLETED", "errorCode": None}

    sandbox.client.request("POST", "/sandbox/clock", {"advance_s": 7 * DAY + 1})

    found = sandbox.client.graphql("{ currentBulkOperation { status url } }").data["currentBulkOperation"]
    assert found == {"status": "EXPIRED", "url": None}


def test_the_shop_is_described_over_rest(unchanged: StartedSandbox) -> None:
    answer = unchanged.client.request("GET", "/admin/api/2025-07/shop.json")

    assert answer.headers["x-shopify-api-version"] == "2026-01"
    assert answer.body["shop"]["myshopify_domain"] == "calibr-sandbox.myshopify.com"
    with SandboxClient(unchanged.url, "shpat_wrong") as client:
        assert client.request("GET", "/admin/api/2025-07/shop.json").status == 401


def _finished_bulk_query(sandbox: StartedSandbox) -> dict[str, Any]:
    run = "mutation($query: String!) { bulkOperationRunQuery(query: $query) { userErrors { message } } }"
    export = "{ products { edges { node { id } } } }"
    assert sandbox.client.graphql(run, {"query": export}).data["bulkOperationRunQuery"]["userErrors"] == []
    for _ in range(500):
        read = sandbox.client.graphql("{ currentBulkOperation { status errorCode } }").data["currentBulkOperation"]
        found: dict[str, Any] = read
        if found["status"] not in {"CREATED", "RUNNING"}:
            return found
        time.sleep(0.01)
    pytest.fail("the operation did not end")


def test_a_bulk_query_without_its_scope_fails(start: Starter) -> None:
    sandbox = start(scopes=("read_inventory",))

    assert _finished_bulk_query(sandbox) == {"status": "FAILED", "errorCode": "ACCESS_DENIED"}


def test_the_app_is_told_of_its_scopes_and_of_its_end(sandbox: StartedSandbox) -> None:
    with receiving() as receiver:
        for topic in ("app/scopes_update", "app/uninstalled"):
            sandbox.client.request("POST", "/sandbox/webhooks", {"topic": topic, "url": receiver.url})
        for change in ({"scopes": ["read_products"]}, {"scopes": ["read_products"]}, {"installed": False}):
            sandbox.client.request("POST", "/sandbox/app", change)
        await_that(lambda: len(receiver.tries) >= 2)  # each topic has a courier of its own
        told = {headers["X-Shopify-Topic"]: json.loads(body) for headers, body in receiver.tries}

    assert len(receiver.tries) == 2
    assert told["app/scopes_update"]["current"] == ["read_products"]
    assert told["app/uninstalled"]["myshopify_domain"] == "calibr-sandbox.myshopify.com"
