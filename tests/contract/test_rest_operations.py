"""What must hold for every operation of the API, taken from its own document."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from operations import ANY_TOKEN, PUBLIC, SIGNED, Operation, operations

from calibr.access import Scope
from calibr.http import ApiServices, build_api

if TYPE_CHECKING:
    from rest import Team


@pytest.fixture(scope="module")
def document(anonymous: httpx2.Client) -> dict[str, Any]:
    return dict(anonymous.get("/openapi.json").json())


@pytest.fixture(scope="module")
def all_operations(document: dict[str, Any]) -> list[Operation]:
    return operations(document)


@pytest.fixture(scope="module")
def client_with(make_team: "Callable[[], Team]", api_url: str) -> Iterator[Callable[[set[Scope]], httpx2.Client]]:
    """Makes a client whose token has exactly these scopes."""
    admin, opened = make_team().admin, []

    def make(scopes: set[Scope]) -> httpx2.Client:
        made = admin.post("/v1/tokens", json={"name": "matrix", "scopes": sorted(scopes)}).json()
        headers = {"Authorization": f"Bearer {made['token']}"}
        opened.append(httpx2.Client(base_url=api_url, headers=headers, timeout=30))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


def test_only_these_operations_are_public(all_operations: list[Operation], anonymous: httpx2.Client) -> None:
    answered = {each.id for each in all_operations if each.request(anonymous).status_code != 401}

    assert answered == PUBLIC
    assert {each.id for each in all_operations if each.scope is None} == PUBLIC


def test_every_other_operation_asks_for_exactly_one_known_scope(all_operations: list[Operation]) -> None:
    scopes = {each.id: each.scope for each in all_operations if each.id not in PUBLIC | ANY_TOKEN}

    assert set(scopes.values()) == {scope.value for scope in Scope}
    assert {each.id for each in all_operations if each.scope == "token"} == ANY_TOKEN
    for each in all_operations:
        assert len(each.described.get("security", [])) == (0 if each.id in PUBLIC else 1)


@pytest.mark.parametrize("scope", Scope)
def test_a_token_without_the_scope_is_refused_by_name(
    scope: Scope, all_operations: list[Operation], client_with: Callable[[set[Scope]], httpx2.Client]
) -> None:
    everything_else = client_with(set(Scope) - {scope})

    for each in all_operations:
        if each.scope == scope:
            refused = each.request(everything_else)
            assert (refused.status_code, refused.json()["code"]) == (403, "scope.missing"), each
            assert scope.value in refused.json()["detail"]
            assert f'scope="{scope.value}"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize("scope", Scope)
def test_the_scope_alone_opens_its_operations_and_no_others(
    scope: Scope, all_operations: list[Operation], client_with: Callable[[set[Scope]], httpx2.Client]
) -> None:
    only = client_with({scope})

    for each in all_operations:
        status = each.request(only).status_code
        may = each.scope in {scope.value, "token", None}
        assert (status not in {401, 403}) if may else (status == 403), f"{each.id} answered {status}"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[1]", b'{"tenant_id": 1}'])
def test_who_is_calling_is_asked_before_the_body_is_read(
    body: bytes, all_operations: list[Operation], anonymous: httpx2.Client
) -> None:
    for each in all_operations:
        if each.method in {"POST", "PATCH"} and each.id not in SIGNED:
            answer = anonymous.request(
                each.method, each.path, content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 401, each.id


def test_nobody_can_set_what_the_server_decides(all_operations: list[Operation], team: "Team") -> None:
    mass = {"tenant_id": "x", "state": "approved", "approved_by": "x", "price_after": 1, "role_override": "admin"}
    for each in all_operations:
        if each.method in {"POST", "PATCH"} and each.id not in SIGNED:
            refused = each.request(team.admin, body=mass)
            given = {fault["path"] for fault in refused.json()["faults"]}
            assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid"), each.id
            assert {f"$.{name}" for name in mass} <= given, each.id


def test_every_operation_is_described(all_operations: list[Operation]) -> None:
    ids = [each.id for each in all_operations]

    assert len(set(ids)) == len(ids)
    for each in all_operations:
        told = each.described
        assert told["summary"], each.id
        assert told["description"], each.id
        assert len(told["tags"]) == 1, each.id
        success = {status for status in told["responses"] if status < "300"}
        assert len(success) == 1, each.id
        for status in success - {"204"}:
            (media,) = told["responses"][status]["content"].values()
            assert media["schema"], each.id
        for status, answer in told["responses"].items():
            if status >= "400" and (each.id, status) != ("get_readiness", "503"):
                assert list(answer["content"]) == ["application/problem+json"], (each.id, status)


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert set(references(document)) <= known


def test_what_is_served_is_what_is_described(services: ApiServices, all_operations: list[Operation]) -> None:
    app = build_api(services)
    served = {
        (method, route.path_format)
        for router in app.state.routers
        for route in router.routes
        for method in route.methods
    }

    assert served == {(each.method, each.path) for each in all_operations}


def test_no_answer_is_anything_but_what_the_document_allows(
    document: dict[str, Any], all_operations: list[Operation], team: "Team", anonymous: httpx2.Client
) -> None:
    for each in all_operations:
        for client in (team.admin, team.viewer, anonymous):
            answer = each.request(client)
            described = each.described["responses"].get(str(answer.status_code))
            assert described is not None, f"{each.id} answered {answer.status_code}, which is not described"
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", each.id
                assert set(answer.json()) == {"type", "title", "status", "detail", "code", "retryable", "faults"}
                assert answer.json()["type"] == f"urn:calibr:problem:{answer.json()['code']}"
                assert answer.json()["status"] == answer.status_code
    assert document["openapi"].startswith("3.1")
