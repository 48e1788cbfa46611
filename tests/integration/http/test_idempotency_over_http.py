import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from calibr import access
from calibr.access import RequestMark
from calibr.core.ids import new_uuid
from calibr.db import Context, Database

if TYPE_CHECKING:
    from rest import Team

USER = {"name": "Ada", "role": "author"}


def users(team: "Team") -> list[str]:
    return [user["name"] for user in team.admin.get("/v1/users").json()["items"]]


def test_a_repeat_gets_the_first_answer_and_changes_nothing(team: "Team") -> None:
    first, second = (team.admin.post("/v1/users", json=USER, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert users(team).count("Ada") == 1


@pytest.mark.parametrize("other", [{"json": {**USER, "role": "viewer"}}, {"json": USER, "params": {"x": "1"}}])
def test_a_key_of_another_request_is_refused(team: "Team", other: dict[str, object]) -> None:
    headers = {"Idempotency-Key": "k"}
    team.admin.post("/v1/users", json=USER, headers=headers)

    refused = team.admin.request("POST", "/v1/users", headers=headers, **other)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency.key_reused")


def test_a_key_that_failed_may_be_tried_again(team: "Team") -> None:
    headers = {"Idempotency-Key": "k"}
    refused = team.admin.post("/v1/users", json={**USER, "role": "boss"}, headers=headers)

    accepted = team.admin.post("/v1/users", json=USER, headers=headers)

    assert (refused.status_code, accepted.status_code) == (422, 201)


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ä".encode()])
def test_a_key_of_the_wrong_form_is_refused(team: "Team", key: str | bytes) -> None:
    refused = team.admin.post("/v1/users", json=USER, headers={"Idempotency-Key": key})

    assert (refused.status_code, refused.json()["code"]) == (400, "request.header")
    assert "Ada" not in users(team)


def test_a_repeated_token_request_does_not_show_the_text_again(team: "Team") -> None:
    first, second = (
        team.admin.post("/v1/tokens", json={"name": "t"}, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    )

    assert first["token"].startswith("clbr_live_")
    assert second == {**first, "token": None}


def test_repeats_at_the_same_time_make_one_user(team: "Team") -> None:
    def send(_: int) -> httpx2.Response:
        while True:
            answer = team.admin.post("/v1/users", json=USER, headers={"Idempotency-Key": "k"})
            if answer.status_code != 409:
                return answer
            assert answer.json()["code"] == "idempotency.in_flight"
            assert int(answer.headers["Retry-After"]) >= 1
            time.sleep(0.02)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert users(team).count("Ada") == 1


def test_a_duplicate_in_flight_is_told_so_at_once(team: "Team", database: Database) -> None:
    principal = team.principal
    mark = RequestMark(principal.token_id, "k", "POST", "/v1/users", b"\0" * 32)
    with database.session(Context(principal.tenant_id, principal.actor, new_uuid())) as session:
        assert access.recall(session, mark) is None
        began = time.monotonic()
        refused = team.admin.post("/v1/users", json=USER, headers={"Idempotency-Key": "k"})
        other = team.admin.post("/v1/users", json=USER, headers={"Idempotency-Key": "another"})
        assert time.monotonic() - began < 2

    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency.in_flight")
    assert refused.headers["Retry-After"] == "1"
    assert other.status_code == 201


def test_without_a_key_a_repeat_is_a_second_request(team: "Team") -> None:
    statuses = [team.admin.post("/v1/users", json=USER).status_code for _ in range(2)]

    assert statuses == [201, 409]
