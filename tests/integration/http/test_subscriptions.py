"""Subscriptions over HTTP: made, changed, replayed; their secret is shown once."""

from typing import Any

import pytest
from rest import Team

from calibr.core.ids import new_uuid

HOOK = {"kind": "webhook", "name": "prices", "config": {"url": "https://example.com/hooks/prices"}}


def make(team: Team, **more: object) -> dict[str, Any]:
    answer = team.admin.post("/v1/subscriptions", json={**HOOK, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_webhook_is_made_and_found_again(team: Team) -> None:
    made = make(team, event_types=["price.*"], lanes=16)

    found = team.admin.get(f"/v1/subscriptions/{made['subscription']['id']}").json()

    assert made["secret"].startswith("whsec_")
    assert found["subscription"] == made["subscription"]
    assert found["subscription"]["config"] == {"url": "https://example.com/hooks/prices"}
    assert found["standing"]["parked"] == 0
    assert [s["name"] for s in team.admin.get("/v1/subscriptions").json()["items"]] == ["prices"]
    assert "whsec_" not in team.admin.get("/v1/events").text


def test_a_repeat_with_the_same_key_makes_no_second_one_and_shows_no_secret(team: Team) -> None:
    headers = {"Idempotency-Key": str(new_uuid())}

    first = team.admin.post("/v1/subscriptions", json=HOOK, headers=headers)
    second = team.admin.post("/v1/subscriptions", json=HOOK, headers=headers)

    assert first.json()["secret"]
    assert second.json() == {**first.json(), "secret": None}
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"config": {"url": "http://example.com/"}}, "$.config.url"),
        ({"config": {"url": "https://10.0.0.1/"}}, "$.config.url"),
        ({"config": {"url": "https://user:pw@example.com/"}}, "$.config.url"),
        ({"config": {}}, "$.config.url"),
        ({"config": {"url": "https://example.com/", "headers": {}}}, "$.config.headers"),
        ({"kind": "pigeon"}, "$.kind"),
        ({"kind": "projection"}, "$.kind"),
        ({"lanes": 3}, "$.lanes"),
        ({"event_types": ["price.changed", "nope.*"]}, "$.event_types[1]"),
        ({"name": "  "}, "$.name"),
        ({"on_poison": "explode"}, "$.on_poison"),
    ],
)
def test_bad_input_names_the_field_and_changes_nothing(team: Team, change: dict[str, Any], path: str) -> None:
    answer = team.admin.post("/v1/subscriptions", json={**HOOK, **change})

    assert answer.status_code == 422, answer.text
    assert path in [fault["path"] for fault in answer.json()["faults"]]
    assert team.admin.get("/v1/subscriptions").json()["items"] == []


def test_a_name_is_taken_once(team: Team) -> None:
    make(team)

    again = team.admin.post("/v1/subscriptions", json=HOOK)

    assert (again.status_code, again.json()["code"]) == (409, "subscription.name_taken")


def test_the_life_of_a_subscription(team: Team) -> None:
    id_ = make(team)["subscription"]["id"]

    def post(step: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = team.admin.post(f"/v1/subscriptions/{id_}/{step}", json=body or {})
        assert answer.is_success, answer.text
        return answer.json()

    assert post("pause")["state"] == "paused"
    assert team.admin.post(f"/v1/subscriptions/{id_}/pause").status_code == 409
    assert post("resume")["state"] == "active"
    assert post("edit", {"event_types": ["price.*"]})["event_types"] == ["price.*"]
    assert post("rotate-secret")["secret"].startswith("whsec_")
    assert post("replay", {"from_seq": 0})["id"] == id_
    assert post("replay", {"since": "2026-01-01T00:00:00Z"})["id"] == id_
    assert team.admin.post(f"/v1/subscriptions/{id_}/redeliver").json()["code"] == "subscription.nothing_parked"
    assert team.admin.get(f"/v1/subscriptions/{id_}/dead-letters").json() == {"items": [], "next": None}
    assert team.admin.delete(f"/v1/subscriptions/{id_}").status_code == 204
    assert team.admin.get(f"/v1/subscriptions/{id_}").status_code == 404
    told = [e["type"] for e in team.admin.get("/v1/events", params={"type": "subscription.*"}).json()["items"]]
    assert told == [
        *("subscription.created", "subscription.paused", "subscription.resumed", "subscription.updated"),
        *("subscription.secret_rotated", "subscription.replayed", "subscription.replayed", "subscription.deleted"),
    ]


@pytest.mark.parametrize("body", [{}, {"from_seq": 0, "since": "2026-01-01T00:00:00Z"}, {"from_seq": 10**9}])
def test_a_replay_says_from_where(team: Team, body: dict[str, Any]) -> None:
    id_ = make(team)["subscription"]["id"]

    answer = team.admin.post(f"/v1/subscriptions/{id_}/replay", json=body)

    assert answer.status_code == 422
    assert "from_seq" in answer.text


def test_an_author_may_neither_subscribe_nor_look(team: Team) -> None:
    assert team.author.post("/v1/subscriptions", json=HOOK).json()["code"] == "scope.missing"
    assert team.author.get("/v1/subscriptions").json()["code"] == "scope.missing"
