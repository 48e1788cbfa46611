import io
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from calibr.db import Context, Database
from calibr.http import ApiServices

if TYPE_CHECKING:
    from rest import Team

CANARY = "shpat_canary0123456789abcdef"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this host that is ours and does not answer."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def body(closed_port: int) -> dict[str, Any]:
    return {
        "kind": "shopify",
        "name": "Main store",
        "config": {"shop_url": f"http://127.0.0.1:{closed_port}"},
        "secrets": {"access_token": CANARY},
    }


def everything_stored(database: Database, team: "Team") -> str:
    """The rows of all tables that this tenant wrote to, as text."""
    tables = ("connection", "secret", "event", "idempotency", "sync_run")
    with database.session(Context(team.principal.tenant_id, "system:test", uuid4())) as session:
        rows = [session.execute(text(f"select t::text from calibr.{table} t")).scalars().all() for table in tables]
        bodies = session.execute(text("select convert_from(body, 'UTF8') from calibr.event")).scalars().all()
        answers = session.execute(text("select convert_from(response, 'UTF8') from calibr.idempotency")).scalars().all()
    return repr((rows, bodies, answers))


def test_a_store_is_connected_and_its_secret_is_never_seen_again(
    database: Database, team: "Team", body: dict[str, Any], log_lines: io.StringIO
) -> None:
    made = team.author.post("/v1/connections", json=body, headers={"Idempotency-Key": "k"})
    again = team.author.post("/v1/connections", json=body, headers={"Idempotency-Key": "k"})
    path = made.headers["location"]
    seen = [made, again, team.author.get(path), team.author.get("/v1/connections"), team.author.post(f"{path}/check")]
    seen.append(team.approver.get("/v1/audit"))

    assert made.status_code == 201
    assert made.json()["config"] == body["config"]
    assert [answer.status_code for answer in seen[2:]] == [200, 200, 200, 200]
    assert not [answer for answer in seen if CANARY in answer.text]
    assert CANARY not in everything_stored(database, team)
    assert CANARY not in log_lines.getvalue()


def test_tokens_are_in_one_answer_and_nowhere_else(
    database: Database, team: "Team", log_lines: io.StringIO, services: ApiServices
) -> None:
    made = team.admin.post("/v1/tokens", json={"name": "t"}, headers={"Idempotency-Key": "k"}).json()
    secret = made["token"].rsplit("_", 1)[1]
    team.admin.get("/v1/me", headers={"Authorization": f"Bearer {made['token']}"})
    team.admin.get("/v1/nowhere", params={"token": made["token"]})
    team.admin.get("/v1/users", params={"after": made["token"]})
    later = [team.admin.get(path).text for path in ("/v1/tokens", "/v1/audit", "/v1/me")]

    assert not [answer for answer in later if secret in answer]
    assert secret not in everything_stored(database, team)
    assert secret not in log_lines.getvalue()
    assert secret not in services.metrics.render().decode()


BAD = {
    "unknown kind": ({"kind": "magento"}, "$.kind", "magento"),
    "address of another host": ({"config": {"shop_url": "https://evil.example"}}, "$.config.shop_url", "evil.example"),
    "address without a store": ({"config": {}}, "$.config.shop_url", None),
    "unknown setting": ({"config": {"shop_url": "http://127.0.0.1:1", "user": "x"}}, "$.config.user", None),
    "secret of the wrong type": ({"secrets": {"access_token": 7}}, "$.secrets.access_token", None),
    "no secret": ({"secrets": {}}, "$.secrets.access_token", None),
    "empty name": ({"name": " "}, "$.name", None),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_connection_is_refused_with_its_place_and_nothing_is_kept(
    team: "Team", body: dict[str, Any], case: str
) -> None:
    wishes, path, given = BAD[case]

    refused = team.author.post("/v1/connections", json={**body, **wishes})

    faults = refused.json()["faults"]
    assert refused.status_code == 422
    assert path in {fault["path"] for fault in faults}
    assert given is None or given in refused.text
    assert CANARY not in refused.text
    assert team.author.get("/v1/connections").json()["items"] == []


def test_a_secret_under_a_wrong_name_is_not_shown_back(team: "Team", body: dict[str, Any]) -> None:
    misplaced = {**body, "secrets": {"acces_token": CANARY}, "token": CANARY}
    del misplaced["name"]

    refused = team.author.post("/v1/connections", json=misplaced)

    assert refused.status_code == 422
    assert CANARY not in refused.text


def test_a_secret_of_the_wrong_type_is_not_shown_back(team: "Team", body: dict[str, Any]) -> None:
    refused = team.author.post("/v1/connections", json={**body, "secrets": {"access_token": 4711471147114711}})

    (fault,) = refused.json()["faults"]
    assert (refused.status_code, fault["path"], fault["value"]) == (422, "$.secrets.access_token", None)
    assert "4711" not in refused.text


def test_a_name_is_given_once(team: "Team", body: dict[str, Any]) -> None:
    team.author.post("/v1/connections", json=body)

    refused = team.author.post("/v1/connections", json=body)

    assert (refused.status_code, refused.json()["code"]) == (409, "connection.name_taken")
    assert "'Main store'" in refused.json()["detail"]


def test_a_store_that_does_not_answer_is_a_finding_of_the_check(team: "Team", body: dict[str, Any]) -> None:
    connection = team.author.post("/v1/connections", json=body).json()

    checked = team.author.post(f"/v1/connections/{connection['id']}/check").json()

    assert checked["state"] == "failing"
    assert checked["health"]["ok"] is False
    assert checked["health"]["problems"]
    assert team.author.get(f"/v1/connections/{connection['id']}").json() == checked


def test_a_store_that_throttles_is_a_finding_of_the_check(team: "Team", body: dict[str, Any]) -> None:
    connection = team.author.post("/v1/connections", json={**body, "kind": "throttled"}).json()

    checked = team.author.post(f"/v1/connections/{connection['id']}/check").json()

    assert (checked["state"], checked["health"]["ok"]) == ("failing", False)
    assert checked["health"]["problems"] == ["The store throttles us: try again in 4 s."]


def test_a_second_sync_waits_for_the_first(team: "Team", body: dict[str, Any]) -> None:
    connection = team.author.post("/v1/connections", json=body).json()
    path = f"/v1/connections/{connection['id']}/syncs"

    first, second = team.author.post(path), team.author.post(path)

    assert first.status_code == 202
    assert team.viewer.get(first.headers["location"]).json()["state"] == "queued"
    assert (second.status_code, second.json()["code"]) == (409, "sync.already_running")


@pytest.mark.parametrize(
    ("sent", "status", "code", "rule"),
    [
        ({"mode": "partly"}, 422, "request.invalid", "$.mode"),
        ({"mode": "incremental", "force": True}, 422, "sync.mode", "$.mode"),
        ({"mode": "incremental"}, 409, "sync.no_full_sync", None),
    ],
)
def test_a_sync_that_cannot_be_is_refused(
    team: "Team", body: dict[str, Any], sent: dict[str, Any], status: int, code: str, rule: str | None
) -> None:
    connection = team.author.post("/v1/connections", json=body).json()

    answer = team.author.post(f"/v1/connections/{connection['id']}/syncs", json=sent)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if rule is not None:
        assert rule in answer.text


@pytest.mark.parametrize(
    ("sent", "mode"), [({}, "auto"), ({"mode": "full"}, "full"), ({"force": True}, "full"), ({"mode": "auto"}, "auto")]
)
def test_a_sync_tells_what_it_will_read(team: "Team", body: dict[str, Any], sent: dict[str, Any], mode: str) -> None:
    connection = team.author.post("/v1/connections", json=body).json()

    sync = team.author.post(f"/v1/connections/{connection['id']}/syncs", json=sent).json()

    assert (sync["mode"], sync["since"]) == (mode, None)
