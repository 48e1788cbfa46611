"""Each way to authorize a connection, against a store that grants tokens: from the first token to the last."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from merchants import CONSENT, CREDENTIALS, Merchant, changed, id_of
from rest import Team
from sqlalchemy import text

from calibr.catalog import mark_uninstalled
from calibr.core.errors import Upstream
from calibr.db import Database
from calibr.http import ApiServices, build_api
from calibr.http.server import HttpServer
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import started_sandbox


def test_client_credentials_get_a_token_for_a_day_that_all_workers_share(
    merchant: Merchant, database: Database, services: ApiServices
) -> None:
    connection = merchant.connect(CREDENTIALS)

    checked = merchant.check(connection)
    others = [merchant.open(database, connection, services.vault, services.connectors) for _ in range(3)]
    healths = [other.check() for other in others]
    for other in others:
        other.close()

    assert (checked["state"], checked["health"]["ok"]) == ("active", True)
    assert checked["health"]["auth_method"] == "client_credentials"
    assert checked["health"]["missing_scopes"] == []
    assert checked["health"]["token_expires_at"] is not None
    assert all(health.ok for health in healths)
    assert len(merchant.in_store("tokens")["tokens"]) == 1
    (issued,) = merchant.events(database, "connection.token_issued")
    assert (issued["generation"], issued["scopes"]) == (1, ["read_inventory", "read_markets", "write_products"])


def test_a_token_that_was_revoked_is_replaced_in_the_call_that_meets_it(merchant: Merchant, database: Database) -> None:
    connection = merchant.connect(CREDENTIALS)
    merchant.check(connection)
    assert merchant.revoke_all() == 1

    assert merchant.check(connection)["state"] == "active"
    assert len(merchant.events(database, "connection.token_issued")) == 2
    assert merchant.events(database, "connection.unauthorized") == []


def test_a_token_is_renewed_before_it_ends(merchant: Merchant, database: Database, services: ApiServices) -> None:
    connection = merchant.connect(CREDENTIALS)
    merchant.check(connection)
    merchant.in_store("clock", {"advance_s": 90_000})
    with database.session(merchant.context()) as session:
        session.execute(text("update calibr.store_grant set expires_at = now() + interval '1 minute'"))

    worker = merchant.open(database, connection, services.vault, services.connectors)
    assert worker.check().ok
    worker.close()

    assert len(merchant.events(database, "connection.token_issued")) == 2


def test_a_wrong_secret_makes_the_connection_unauthorized_until_a_good_one_is_given(
    merchant: Merchant, database: Database
) -> None:
    connection = merchant.connect(CREDENTIALS, {"client_secret": "shpss_wrong"})

    checked = merchant.check(connection)
    refused = merchant.ask(connection, "syncs")
    merchant.ask(connection, "secrets", secrets={"client_secret": "shpss_sandbox"})
    again = merchant.check(connection)

    assert (checked["state"], checked["health"]["ok"]) == ("unauthorized", False)
    assert "invalid_client: The client secret is wrong" in checked["health"]["problems"][0]
    assert (refused.status_code, refused.json()["code"]) == (409, "connection.unauthorized")
    assert "authorize it again" in refused.json()["detail"]
    assert (again["state"], again["health"]["ok"]) == ("active", True)
    assert merchant.ask(connection, "syncs").status_code == 202
    assert [event["from"] for event in merchant.events(database, "connection.recovered")] == ["unauthorized"]


def test_a_shop_of_another_organization_is_told_apart(merchant: Merchant) -> None:
    merchant.in_store("app", {"permitted": False})

    checked = merchant.check(merchant.connect(CREDENTIALS))

    assert checked["state"] == "unauthorized"
    assert "shop_not_permitted" in checked["health"]["problems"][0]


def test_a_pasted_token_that_was_revoked_needs_a_person(merchant: Merchant) -> None:
    connection = merchant.connect()
    assert merchant.check(connection)["state"] == "active"
    merchant.in_store("tokens/revoke", {"access_token": "shpat_sandbox"})

    checked = merchant.check(connection)

    assert (checked["state"], checked["health"]["auth_method"]) == ("unauthorized", "token")
    assert "HTTP 401" in checked["health"]["problems"][0]


def test_a_removed_app_ends_everything_until_it_is_there_again(merchant: Merchant) -> None:
    connection = merchant.connect(CREDENTIALS)
    merchant.check(connection)
    merchant.in_store("app", {"installed": False})

    gone = merchant.check(connection)
    merchant.in_store("app", {"installed": True})
    back = merchant.check(connection)

    assert gone["state"] == "unauthorized"
    assert "not installed" in gone["health"]["problems"][0]
    assert back["state"] == "active"


def test_a_missing_scope_is_named(merchant: Merchant) -> None:
    merchant.in_store("app", {"scopes": ["write_products", "read_markets"]})

    checked = merchant.check(merchant.connect(CREDENTIALS))

    assert checked["state"] == "failing"
    assert checked["health"]["missing_scopes"] == ["read_inventory"]
    assert "lacks the scope read_inventory" in checked["health"]["problems"][0]


def test_a_version_that_fell_forward_is_warned_of(team: Team, tmp_path: Path) -> None:
    config = SandboxConfig(tmp_path / "newer.db", oldest_version="2026-10")
    with started_sandbox(config) as store:
        merchant = Merchant(store.url, team)
        shop = {"shop_url": store.url, "api_version": "2026-07"}
        body = {"kind": "shopify", "name": "Old", "config": shop, "secrets": {"access_token": "shpat_sandbox"}}
        checked = merchant.check(team.author.post("/v1/connections", json=body).json())

    assert checked["health"]["ok"]
    assert (checked["health"]["asked_version"], checked["health"]["api_version"]) == ("2026-07", "2026-10")
    assert "2026-10 instead of 2026-07" in checked["health"]["warnings"][0]


def test_a_check_tells_how_the_connection_is(merchant: Merchant) -> None:
    health = merchant.check(merchant.connect(CREDENTIALS))["health"]

    assert health["latency_ms"] >= 0
    assert health["scopes"] == ["read_inventory", "read_markets", "read_products", "write_products"]
    assert health["last_synced_at"] is None
    assert health["throttle"]["maximum"] == 20_000
    assert health["throttle"]["calls"] == 1
    assert health["throttle"]["throttled"] == 0
    assert 0 <= health["throttle"]["used_percent"] <= 1
    assert health["webhooks"] is None


def test_consent_makes_a_connection_of_what_the_owner_agreed_to(
    merchant: Merchant, database: Database, api_url: str, log_lines: io.StringIO
) -> None:
    connection = merchant.connect(CONSENT)
    refused = merchant.ask(connection, "syncs")
    location = merchant.consent(connection)

    returned = httpx2.get(location, trust_env=False)
    checked = merchant.check(connection)

    assert (connection["state"], refused.json()["code"]) == ("pending", "connection.pending")
    assert location.startswith(f"{api_url}/v1/oauth/callback?")
    assert (returned.status_code, returned.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "Main is connected" in returned.text
    assert (checked["state"], checked["health"]["ok"]) == ("active", True)
    (told,) = merchant.events(database, "connection.authorized")
    assert told["actor"].startswith("user:")
    assert told["scopes"] == ["read_inventory", "read_markets", "write_products"]
    (granted,) = merchant.in_store("tokens")["tokens"]
    assert granted["access_token"] not in log_lines.getvalue()
    assert "state=" not in log_lines.getvalue()


def test_the_way_back_is_good_once(merchant: Merchant) -> None:
    location = merchant.consent(merchant.connect(CONSENT))

    first, second = httpx2.get(location, trust_env=False), httpx2.get(location, trust_env=False)

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (400, "connection.return")
    assert second.json()["faults"][0]["path"] == "query.state"


def test_of_many_at_once_one_gets_through(merchant: Merchant) -> None:
    location = merchant.consent(merchant.connect(CONSENT))

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: httpx2.get(location, trust_env=False).status_code, range(6)))

    assert sorted(answers) == [200, 400, 400, 400, 400, 400]
    assert len(merchant.in_store("tokens")["tokens"]) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("code", "0" * 32),
        ("shop", "other.myshopify.com"),
        ("hmac", "0" * 64),
        ("timestamp", "1"),
        ("state", "x"),
        ("extra", "1"),
    ],
)
def test_a_way_back_that_somebody_changed_is_refused_and_spoils_nothing(
    merchant: Merchant, name: str, value: str
) -> None:
    connection = merchant.connect(CONSENT)
    location = merchant.consent(connection)

    refused = httpx2.get(changed(location, **{name: value}), trust_env=False)

    assert (refused.status_code, refused.json()["code"]) == (400, "connection.return")
    assert merchant.state(connection) == "pending"
    assert httpx2.get(location, trust_env=False).status_code == 200


def test_a_state_of_another_connection_is_refused(merchant: Merchant) -> None:
    one = merchant.consent(merchant.connect(CONSENT, name="One"))
    other = merchant.ask(merchant.connect(CONSENT, name="Other"), "authorize").json()["authorize_url"]
    state = httpx2.URL(other).params["state"]

    refused = httpx2.get(changed(one, state=state), trust_env=False)

    assert refused.status_code == 400


def test_a_state_that_ran_out_is_refused(merchant: Merchant, database: Database) -> None:
    location = merchant.consent(merchant.connect(CONSENT))
    with database.session(merchant.context()) as session:
        session.execute(text("update calibr.consent_attempt set expires_at = now() - interval '1 second'"))

    assert httpx2.get(location, trust_env=False).json()["faults"][0]["path"] == "query.state"


def test_an_owner_who_says_no_is_understood(merchant: Merchant) -> None:
    connection = merchant.connect(CONSENT)
    merchant.in_store("app", {"consents": False})

    refused = httpx2.get(merchant.consent(connection), trust_env=False)

    assert refused.status_code == 400
    assert "did not agree" in refused.json()["detail"]
    assert merchant.state(connection) == "pending"


def test_two_connections_cannot_hold_the_same_pair(merchant: Merchant) -> None:
    merchant.connected_by_consent("One")
    second = merchant.connect(CONSENT, name="Two")

    refused = httpx2.get(merchant.consent(second), trust_env=False)

    assert (refused.status_code, refused.json()["code"]) == (409, "connection.shop_taken")
    assert merchant.state(second) == "pending"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=a&state=b",
        "&".join(f"p{number}=1" for number in range(31)),
        "state=%ff%00&hmac=%ff&shop=%00",
        f"state={'0' * 64}.{'A' * 43}.{'0' * 64}",
        "state=" + "x" * 5_000,
    ],
)
def test_an_odd_way_back_is_refused_in_words(api_url: str, query: str) -> None:
    refused = httpx2.get(f"{api_url}/v1/oauth/callback?{query}", trust_env=False)

    assert (refused.status_code, refused.json()["code"]) == (400, "connection.return")
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_way_back_leads_where_browsers_reach_the_server(merchant: Merchant, services: ApiServices) -> None:
    connection = merchant.connect(CONSENT)
    behind_a_proxy = build_api(replace(services, public_url="https://calibr.example.com/"))
    with HttpServer(behind_a_proxy, host="127.0.0.1", port=0) as server:
        author = merchant.team.author.headers["authorization"]
        url = f"{server.url}/v1/connections/{connection['id']}/authorize"
        asked = httpx2.post(url, json={}, headers={"Authorization": author}, trust_env=False).json()

    assert asked["redirect_uri"] == "https://calibr.example.com/v1/oauth/callback"
    assert httpx2.URL(asked["authorize_url"]).params["redirect_uri"] == asked["redirect_uri"]


def test_what_a_removed_app_held_may_be_taken_over(merchant: Merchant, database: Database) -> None:
    first, second = merchant.connected_by_consent("One"), merchant.connect(CONSENT, name="Two")
    with database.session(merchant.context()) as session:
        assert mark_uninstalled(session, id_of(first))

    assert httpx2.get(merchant.consent(second), trust_env=False).status_code == 200

    assert merchant.check(second)["state"] == "active"
    assert merchant.state(first) == "uninstalled"
    taken = httpx2.get(merchant.consent(first), trust_env=False)
    assert taken.json()["code"] == "connection.shop_taken"


def test_a_check_of_a_connection_that_waits_leaves_it_waiting(merchant: Merchant, database: Database) -> None:
    connection = merchant.connect(CONSENT)

    checked = merchant.check(connection)

    assert checked["state"] == "pending"
    assert "has not agreed yet" in checked["health"]["problems"][0]
    assert merchant.events(database, "connection.unauthorized") == []


def test_a_worker_that_still_has_the_old_secret_does_not_stop_the_new_one(
    merchant: Merchant, database: Database, services: ApiServices
) -> None:
    connection = merchant.connect(CREDENTIALS)
    worker = merchant.open(database, connection, services.vault, services.connectors)
    assert worker.check().ok
    merchant.in_store("app/secret", {"client_secret": "shpss_rotated"})
    merchant.ask(connection, "secrets", secrets={"client_secret": "shpss_rotated"})
    assert merchant.check(connection)["state"] == "active"
    merchant.revoke_all()

    health = worker.check()
    worker.close()

    assert not health.ok
    assert merchant.state(connection) == "active"
    assert merchant.check(connection)["health"]["ok"]


def test_a_repeat_of_the_request_does_not_show_the_address_again(merchant: Merchant) -> None:
    connection = merchant.connect(CONSENT)
    headers = {"Idempotency-Key": "consent"}
    path = f"/v1/connections/{connection['id']}/authorize"

    first, again = (merchant.team.author.post(path, json={}, headers=headers).json() for _ in range(2))

    assert first["authorize_url"] is not None
    assert again == {**first, "authorize_url": None}


@pytest.mark.parametrize("auth", [None, CREDENTIALS])
def test_only_consent_can_be_asked_for(merchant: Merchant, auth: dict[str, str] | None) -> None:
    refused = merchant.ask(merchant.connect(auth), "authorize")

    assert (refused.status_code, refused.json()["code"]) == (422, "connection.no_consent")


def test_a_pair_rotates_hour_by_hour(merchant: Merchant, database: Database, services: ApiServices) -> None:
    connection = merchant.connected_by_consent()

    for _hour in range(3):
        merchant.in_store("clock", {"advance_s": 3_700})
        worker = merchant.open(database, connection, services.vault, services.connectors)
        assert worker.check().ok
        worker.close()

    issued = merchant.events(database, "connection.token_issued")
    assert [event["generation"] for event in issued] == [1, 2, 3, 4]
    assert len(merchant.in_store("tokens")["tokens"]) == 1


def test_many_workers_that_meet_the_end_of_a_token_renew_it_once(
    merchant: Merchant, database: Database, services: ApiServices
) -> None:
    connection = merchant.connected_by_consent()
    workers = [merchant.open(database, connection, services.vault, services.connectors) for _ in range(6)]
    assert all(worker.check().ok for worker in workers)
    merchant.in_store("clock", {"advance_s": 3_700})

    with ThreadPoolExecutor(12) as threads:
        healths = list(threads.map(lambda number: workers[number % 6].check(), range(24)))
    for worker in workers:
        worker.close()

    assert [health.problems for health in healths if not health.ok] == []
    assert [event["generation"] for event in merchant.events(database, "connection.token_issued")] == [1, 2]


def test_another_consent_brings_a_dead_pair_back(merchant: Merchant, database: Database, services: ApiServices) -> None:
    connection = merchant.connected_by_consent()
    merchant.revoke_all()

    dead = merchant.check(connection)
    with pytest.raises(Upstream) as stopped:
        merchant.open(database, connection, services.vault, services.connectors)
    httpx2.get(merchant.consent(connection), trust_env=False)

    assert dead["state"] == "unauthorized"
    assert stopped.value.code == "connection.unauthorized"
    assert merchant.state(connection) == "active"
    assert merchant.check(connection)["health"]["ok"]
