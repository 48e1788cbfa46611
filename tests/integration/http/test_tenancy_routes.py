from typing import TYPE_CHECKING
from uuid import uuid4

import httpx2
import pytest

from calibr.db import Context, Database
from calibr.events import count_events

if TYPE_CHECKING:
    from rest import Team


@pytest.fixture
def count(database: Database, team: "Team") -> "object":
    context = Context(team.principal.tenant_id, team.principal.actor, uuid4())

    def events() -> int:
        with database.session(context) as session:
            return count_events(session)

    return events


def test_me_says_who_is_calling_with_which_scopes(team: "Team") -> None:
    told = team.approver.get("/v1/me").json()

    assert told["tenant"] == {"id": str(team.principal.tenant_id), "name": "Shoes Ltd"}
    assert told["user"]["role"] == "approver"
    assert "changes:approve" in told["token"]["scopes"]
    assert "changes:write" not in told["token"]["scopes"]


def test_an_admin_brings_somebody_in(team: "Team", api_url: str) -> None:
    user = team.admin.post("/v1/users", json={"name": "Ada", "role": "author"})
    token = team.admin.post("/v1/tokens", json={"name": "laptop", "user_id": user.json()["id"], "expires_in_days": 7})

    assert (user.status_code, token.status_code) == (201, 201)
    headers = {"Authorization": f"Bearer {token.json()['token']}"}
    assert httpx2.get(f"{api_url}/v1/me", headers=headers).json()["user"]["name"] == "Ada"


def test_a_revoked_token_is_out_at_once(team: "Team", api_url: str) -> None:
    made = team.admin.post("/v1/tokens", json={"name": "laptop"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert httpx2.get(f"{api_url}/v1/me", headers=headers).status_code == 200

    statuses = [team.admin.delete(f"/v1/tokens/{made['id']}").status_code for _ in range(2)]

    refused = httpx2.get(f"{api_url}/v1/me", headers=headers)
    assert statuses == [204, 204]
    assert (refused.status_code, refused.json()["code"]) == (401, "token.invalid")
    assert refused.headers["www-authenticate"] == "Bearer"


def test_pages_walk_through_all_users_once(team: "Team") -> None:
    for number in range(5):
        team.admin.post("/v1/users", json={"name": f"user {number}", "role": "viewer"})

    names, after = [], None
    while True:
        page = team.admin.get("/v1/users", params={"limit": 3, **({"after": after} if after else {})}).json()
        names += [user["name"] for user in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert names == ["Root", "The author", "The approver", "The viewer", *(f"user {n}" for n in range(5))]


@pytest.mark.parametrize(
    ("body", "path", "value", "rule"),
    [
        ({"name": "x", "role": "boss"}, "$.role", "'boss'", "must be 'viewer', 'author', 'approver' or 'admin'"),
        ({"name": 7, "role": "author"}, "$.name", "7", "must be a valid string"),
        ({"role": "author"}, "$.name", None, "must be given"),
        ({"name": "x", "role": "author", "tenant_id": "y"}, "$.tenant_id", None, "there is no such field"),
        ({"name": " ", "role": "author"}, "$.name", "' '", "1 to 200 characters, no control characters"),
    ],
)
def test_a_bad_user_is_refused_with_path_value_and_rule_and_nothing_changes(
    *, team: "Team", count: "object", body: dict[str, object], path: str, value: str | None, rule: str
) -> None:
    assert callable(count)
    before = count()

    refused = team.admin.post("/v1/users", json=body)

    (fault,) = refused.json()["faults"]
    assert refused.status_code == 422
    assert (fault["path"], fault["value"], fault["rule"]) == (path, value, rule)
    assert path in refused.json()["detail"]
    assert count() == before


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "request.body"),
        (b'{"name":"a","name":"b"}', "application/json", 400, "request.body"),
        (b"\xff", "application/json", 400, "request.body"),
        (b"[]", "application/json", 400, "request.body"),
        (b"[" * 100_000, "application/json", 400, "request.body"),
        (b"name=a", "application/x-www-form-urlencoded", 415, "request.media_type"),
        (b'{"name":"a"}', "text/plain", 415, "request.media_type"),
        (b"", "application/json", 422, "request.invalid"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    team: "Team", content: bytes, media_type: str, status: int, code: str
) -> None:
    refused = team.admin.post("/v1/users", content=content, headers={"Content-Type": media_type})

    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("query", "path"),
    [({"limit": "0"}, "query.limit"), ({"limit": "x"}, "query.limit"), ({"after": "x"}, "query.after")],
)
def test_bad_parameters_are_named(team: "Team", query: dict[str, str], path: str) -> None:
    refused = team.admin.get("/v1/users", params=query)

    assert refused.status_code == 400
    assert refused.json()["faults"][0]["path"] == path


def test_scopes_beyond_ones_own_are_refused_by_name(team: "Team", count: "object") -> None:
    assert callable(count)
    viewer = team.viewer.get("/v1/me").json()["user"]["id"]
    before = count()

    refused = team.admin.post("/v1/tokens", json={"name": "x", "user_id": viewer, "scopes": ["changes:write"]})

    assert (refused.status_code, refused.json()["code"]) == (403, "token.too_wide")
    assert "changes:write" in refused.json()["detail"]
    assert count() == before


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic dXNlcjpwYXNz", "bearer clbr_live_x"])
def test_every_missing_or_bad_credential_gets_the_same_answer(anonymous: httpx2.Client, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}

    refused = anonymous.get("/v1/me", headers=headers)

    assert refused.status_code == 401
    assert refused.json() == anonymous.get("/v1/me").json()
