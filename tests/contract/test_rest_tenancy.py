"""Another tenant's things are not there: every operation, taken from the OpenAPI document, with another tenant's token.

An operation with an id in its path needs that id in `estate`; one that nobody added makes this test fail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import jsonschema_rs
import pytest
from desk import Desk, open_desk
from operations import SIGNED, Operation, operations, without_ids

from calibr.db import Database

if TYPE_CHECKING:
    from rest import Team

BODIES: dict[str, dict[str, Any]] = {
    "approve_price_change": {"plan_root": "0" * 64},
    "reject_price_change": {"reason": "too deep"},
    "edit_price_change": {"name": "Other"},
    "replay_subscription": {"from_seq": 0},
    "replace_connection_secrets": {"secrets": {}},
}
"""Bodies that get past the checks of form, so that the id is looked at."""
CREATIONS: dict[str, dict[str, Any]] = {
    "create_user": {"name": "Ada", "role": "author"},
    "create_token": {"name": "spare"},
    "create_connection": {"kind": "throttled", "name": "spare", "config": {}, "secrets": {}},
    "create_price_change": {"name": "n", "selector": {"all": []}, "transform": {"price": []}},
    "release_price_lists": {
        "name": "n",
        "selector": {"all": []},
        "price_list_ids": ["01a20c44-ed26-78a0-8794-68aec99f334e"],
    },
    "reassert_drift": {"drift_ids": ["01a20c44-ed26-78a0-8794-68aec99f334e"]},
    "create_subscription": {"kind": "webhook", "name": "other", "config": {"url": "https://example.com/hook"}},
}
"""Bodies of what makes something new."""


@dataclass(frozen=True)
class Estate:
    """A tenant that has one of everything, and the ids by the names that paths use."""

    desk: Desk
    ids: dict[str, str]


@pytest.fixture(scope="module")
def estate(database: Database, make_team: "Callable[[], Team]") -> Estate:
    return furnish(open_desk(database, make_team()))


def furnish(desk: Desk) -> Estate:
    """One of everything."""
    drift_id = desk.drifted("e1")
    change = desk.submitted()
    item = desk.items(change["id"], limit=1)["items"][0]
    author, admin = desk.team.author, desk.team.admin
    sync = author.post(f"/v1/connections/{desk.shop.connection_id}/syncs")
    token = admin.post("/v1/tokens", json={"name": "spare"})
    hook = {"kind": "webhook", "name": "spare", "config": {"url": "https://example.com/hook"}}
    subscribed = admin.post("/v1/subscriptions", json=hook)
    assert (sync.status_code, token.status_code, subscribed.status_code) == (202, 201, 201)
    ids = {
        "change_id": change["id"],
        "price_list_id": item["price_list_id"],
        "product_id": item["product_id"],
        "connection_id": str(desk.shop.connection_id),
        "sync_id": sync.json()["id"],
        "token_id": token.json()["id"],
        "drift_id": drift_id,
        "subscription_id": subscribed.json()["subscription"]["id"],
    }
    return Estate(desk, ids)


@pytest.fixture(scope="module")
def stranger(make_team: "Callable[[], Team]") -> httpx2.Client:
    """An admin of another tenant: the token opens every operation."""
    return make_team().admin


@pytest.fixture(scope="module")
def document(anonymous: httpx2.Client) -> dict[str, Any]:
    return dict(anonymous.get("/openapi.json").json())


@pytest.fixture(scope="module")
def all_operations(document: dict[str, Any]) -> list[Operation]:
    return operations(document)


def test_every_id_in_a_path_has_something_to_try_it_on(all_operations: list[Operation], estate: Estate) -> None:
    wanted = {name for each in all_operations for name in each.id_parameters}

    assert wanted == set(estate.ids)


def test_things_of_another_tenant_look_like_things_that_do_not_exist(
    all_operations: list[Operation], estate: Estate, stranger: httpx2.Client
) -> None:
    before = estate.desk.events()
    for each in all_operations:
        if not each.id_parameters:
            continue
        foreign = each.request(stranger, estate.ids, BODIES.get(each.id))
        unknown = each.request(stranger, {}, BODIES.get(each.id))
        assert (foreign.status_code, unknown.status_code) == (404, 404), each.id
        assert without_ids(foreign.text) == without_ids(unknown.text), each.id
        assert {*foreign.headers} == {*unknown.headers}, each.id
    assert estate.desk.events() == before


def test_no_list_shows_anything_of_another_tenant(
    all_operations: list[Operation], estate: Estate, stranger: httpx2.Client
) -> None:
    hidden = {*estate.ids.values(), str(estate.desk.team.principal.tenant_id)}
    looked = set()
    for each in all_operations:
        if each.method == "GET" and not each.id_parameters and each.id not in SIGNED:
            answer = each.request(stranger)
            assert answer.status_code == 200, each.id
            assert not [value for value in hidden if value in answer.text], each.id
            looked.add(each.id)
    assert {"list_products", "list_price_changes", "list_connections", "list_audit", "list_users"} <= looked


@pytest.mark.parametrize("query", [{"entity": "price_change", "entity_id": "change_id"}, {"entity_id": "product_id"}])
def test_the_audit_of_another_tenant_is_empty(estate: Estate, stranger: httpx2.Client, query: dict[str, str]) -> None:
    asked = {name: estate.ids.get(value, value) for name, value in query.items()}

    assert stranger.get("/v1/audit", params=asked).json() == {"items": [], "next": None}


def test_ids_of_another_tenant_in_a_body_are_unknown_too(estate: Estate, stranger: httpx2.Client) -> None:
    body = {"name": "n", "selector": {"all": []}, "transform": {"price": []}}
    answers = [
        stranger.post("/v1/price-changes", json={**body, "price_list_ids": [price_list_id]})
        for price_list_id in (estate.ids["price_list_id"], "01a20c44-ed26-78a0-8794-68aec99f334e")
    ]
    users = [
        stranger.post("/v1/tokens", json={"name": "n", "user_id": user_id})
        for user_id in (str(estate.desk.team.principal.user_id), "01a20c44-ed26-78a0-8794-68aec99f334e")
    ]

    releases = [
        stranger.post("/v1/price-changes/release", json={**CREATIONS["release_price_lists"], "price_list_ids": [each]})
        for each in (estate.ids["price_list_id"], "01a20c44-ed26-78a0-8794-68aec99f334e")
    ]

    for foreign, unknown in (answers, users, releases):
        assert foreign.status_code == unknown.status_code
        assert foreign.status_code in {404, 422}
        assert without_ids(foreign.text) == without_ids(unknown.text)


def test_the_owner_finds_all_of_it_and_answers_have_no_field_beyond_the_document(
    document: dict[str, Any], all_operations: list[Operation], estate: Estate
) -> None:
    """The other half of the proof: the ids above are real. Runs through everything that changes nothing."""
    for each in all_operations:
        if each.method != "GET" or each.id in SIGNED:
            continue
        answer = each.request(estate.desk.team.admin, estate.ids)
        assert answer.status_code == 200, f"{each.id}: {answer.text}"
        media_type, media = next(iter(each.described["responses"]["200"]["content"].items()))
        if media_type == "application/json":
            schema = {**closed(media["schema"]), "components": closed(document["components"])}
            jsonschema_rs.validator_for(schema).validate(answer.json())


def test_the_owner_reaches_every_command(all_operations: list[Operation], database: Database, team: "Team") -> None:
    own = furnish(open_desk(database, team))
    for each in sorted(all_operations, key=lambda operation: operation.method == "DELETE"):
        if each.method != "GET" and each.id_parameters:
            answer = each.request(team.admin, own.ids, BODIES.get(each.id))
            assert answer.status_code != 404, each.id
            assert answer.status_code < 500, each.id


def test_every_post_asks_for_its_idempotency_key_before_it_does_anything(
    all_operations: list[Operation], database: Database, team: "Team"
) -> None:
    own = furnish(open_desk(database, team))
    headers = {**team.admin.headers, "Idempotency-Key": "taken"}
    posts = [each for each in all_operations if each.method == "POST" and each.id not in SIGNED]
    assert {each.id for each in posts if not each.id_parameters} == set(CREATIONS)
    with httpx2.Client(base_url=team.admin.base_url, headers=headers, timeout=30) as client:
        assert client.post("/v1/users", json={"name": "First", "role": "viewer"}).status_code == 201
        before = own.desk.events()

        for each in posts:
            answer = each.request(client, own.ids, {**CREATIONS, **BODIES}.get(each.id))
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused"), each.id

    assert own.desk.events() == before


def closed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema with every object closed: nothing but the properties that it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(child) for name, child in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made
