"""Texts that JSON and URLs can carry and a database cannot, and values at the edges: refused, never a crash."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from desk import Desk, open_desk

from calibr.core.written_json import Json
from calibr.db import Database
from calibr.http.body import MAX_COMMAS, load

if TYPE_CHECKING:
    from rest import Team

NUL, SURROGATE = "\\u0000", "\\ud800"
DOCUMENTS = '"selector":{"all":[]},"transform":{"price":[]}'
BODIES = {
    "user": ("/v1/users", '{"name":"a%s","role":"viewer"}'),
    "token": ("/v1/tokens", '{"name":"a%s"}'),
    "connection name": ("/v1/connections", '{"kind":"shopify","name":"a%s","config":{},"secrets":{}}'),
    "connection kind": ("/v1/connections", '{"kind":"a%s","name":"n","config":{},"secrets":{}}'),
    "connection config": (
        "/v1/connections",
        '{"kind":"shopify","name":"n","config":{"shop_url":"https://a%s.myshopify.com"},"secrets":{"access_token":"t"}}',
    ),
    "secret": (
        "/v1/connections",
        '{"kind":"shopify","name":"n","config":{"shop_url":"http://127.0.0.1:9"},"secrets":{"access_token":"a%s"}}',
    ),
    "change name": ("/v1/price-changes", '{"name":"a%s",' + DOCUMENTS + "}"),
    "selector literal": (
        "/v1/price-changes",
        '{"name":"n","selector":{"field":"product.sku","op":"eq","value":"a%s"},"transform":{"price":[]}}',
    ),
    "guardrail id": (
        "/v1/price-changes",
        '{"name":"n",' + DOCUMENTS + ',"guardrails":[{"id":"a%s","rule":"not_below_cost"}]}',
    ),
    "unknown name": ("/v1/users", '{"name":"a","role":"viewer","%s":1}'),
}


@pytest.mark.parametrize("character", [NUL, SURROGATE])
@pytest.mark.parametrize("case", BODIES)
def test_a_text_that_cannot_be_stored_is_refused(team: "Team", case: str, character: str) -> None:
    path, template = BODIES[case]

    refused = team.admin.post(path, content=template % character, headers={"Content-Type": "application/json"})

    assert refused.status_code in {400, 422}, refused.text
    assert refused.headers["content-type"] == "application/problem+json"


def test_a_body_of_millions_of_numbers_is_refused_before_it_is_read(team: "Team") -> None:
    body = b'{"name":"n","transform":{"price":[]},"selector":[' + b"1," * MAX_COMMAS + b"1]}"

    refused = team.author.post("/v1/price-changes", content=body, headers={"Content-Type": "application/json"})

    assert (refused.status_code, refused.json()["code"]) == (400, "request.body")
    assert f"more than {MAX_COMMAS} commas" in refused.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/users", "/v1/price-changes"])
def test_bodies_are_not_judged_in_the_event_loop(team: "Team", monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    threads = []

    def noting(raw: bytes) -> Mapping[str, Json]:
        threads.append(threading.current_thread().name)
        return load(raw)

    monkeypatch.setattr("calibr.http.body.load", noting)
    refused = team.admin.post(path, json={})

    assert (refused.status_code, len(threads)) == (422, 1)
    assert "http" not in threads  # the name of the thread that serves


@pytest.mark.parametrize(
    "path",
    [
        "/v1/products?sku=%00",
        "/v1/products?title=%00&tag=a",
        "/v1/products?tag=a%00b",
        "/v1/audit?entity=%00",
        "/v1/audit?entity_id=%00",
        "/v1/price-changes?state=%00",
        "/v1/facets/%00",
        "/v1/price-changes/%00",
        "/v1/users?after=%00",
        "/v1/users?limit=99999999999999999999",
        "/v1/schemas/%00/1.0.0",
        "/v1/schemas/..%2F..%2Fenvelope/1.0.0",
        "/%00",
    ],
)
def test_a_query_that_cannot_be_looked_for_is_refused(team: "Team", path: str) -> None:
    refused = team.admin.get(path)

    assert refused.status_code in {400, 404}, refused.text
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("verb", ["reject", "cancel"])
def test_a_reason_that_cannot_be_stored_is_refused(database: Database, team: "Team", verb: str) -> None:
    desk: Desk = open_desk(database, team)
    change = desk.submitted()
    path = f"/v1/price-changes/{change['id']}/{verb}"

    for character in (NUL, SURROGATE):
        body, headers = f'{{"reason":"a{character}"}}', {"Content-Type": "application/json"}
        assert desk.team.admin.post(path, content=body, headers=headers).status_code in {400, 422}
    assert desk.change(change["id"])["state"] == "submitted"


@pytest.mark.parametrize("number", ["1e400", "-0", "1E+2", "9" * 400, "0." + "1" * 400])
def test_odd_numbers_in_documents_are_judged_and_never_a_crash(team: "Team", number: str) -> None:
    selector: dict[str, Any] = {"field": "product.attributes.x", "op": "eq", "value": "@"}
    body = f'{{"name":"n","selector":{selector},"transform":{{"price":[]}}}}'.replace("'@'", number).replace("'", '"')

    answer = team.author.post("/v1/price-changes", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422, answer.text


def test_a_selector_as_long_as_allowed_gets_in(database: Database, team: "Team") -> None:
    desk = open_desk(database, team)

    made = desk.draft(selector={"skus": [f"SKU-{number:09}" for number in range(100_000)]})
    over = desk.draft(selector={"skus": [f"SKU-{number:09}" for number in range(100_001)]})

    assert made.status_code == 201
    assert (over.status_code, over.json()["faults"][0]["path"]) == (422, "$.selector.skus")
