"""How a stream of events ends, stays alive, and is refused. A server of its own, whose waits are short."""

import socket
import time
from collections.abc import Iterator

import httpx2
import pytest
from rest import Team

from calibr.http import ApiServices, build_api, event_stream
from calibr.http.server import HttpServer


@pytest.fixture
def server(services: ApiServices) -> Iterator[HttpServer]:
    with HttpServer(build_api(services), host="127.0.0.1", port=0) as running:
        yield running


@pytest.fixture
def listener(server: HttpServer, team: Team) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, headers=team.admin.headers, timeout=10) as client:
        yield client


def test_a_revoked_token_ends_its_stream(listener: httpx2.Client, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "RECHECK_S", 0.2)
    made = team.admin.post("/v1/tokens", json={"name": "short"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}

    with listener.stream("GET", "/v1/events/stream", headers=headers) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("retry: ")
        assert team.admin.delete(f"/v1/tokens/{made['id']}").status_code == 204
        began = time.monotonic()
        rest = list(lines)

    assert time.monotonic() - began < 5
    assert len([line for line in rest if line.startswith("event: ")]) <= 1


def test_nothing_is_read_for_a_token_that_was_revoked_while_its_client_was_slow(
    listener: httpx2.Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "RECHECK_S", -1.0)
    made = team.admin.post("/v1/tokens", json={"name": "short"}).json()
    read: list[int] = []
    was = event_stream._read
    monkeypatch.setattr(event_stream, "_read", lambda *args: read.append(len(read)) or was(*args))
    monkeypatch.setattr(event_stream, "_still_may", lambda _: False)

    headers = {"Authorization": f"Bearer {made['token']}"}
    with listener.stream("GET", "/v1/events/stream", params={"after": 0}, headers=headers) as response:
        assert [line for line in response.iter_lines() if line.startswith("data: ")] == []

    assert read == []


def test_a_quiet_stream_shows_that_it_lives_and_how_far_it_is(
    listener: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.0)
    head = listener.get("/v1/events/head").json()["seq"]

    with listener.stream("GET", "/v1/events/stream", params={"type": "price.*", "after": 0}) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(4)][2:] == [f"id: {head}", ": still here"]


def test_a_stream_beyond_the_limit_is_refused_and_one_that_ends_makes_room(
    listener: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MOST_STREAMS", 1)
    with listener.stream("GET", "/v1/events/stream") as first:
        lines = first.iter_lines()
        next(lines)
        refused = listener.get("/v1/events/stream")
        assert (refused.status_code, refused.json()["code"]) == (503, "events.too_many_streams")
        assert refused.headers["Retry-After"] == "1"

    deadline = time.monotonic() + 5
    while (answer := listener.get("/v1/events/stream?follow=false")).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.status_code == 200


def test_a_server_that_stops_ends_its_streams_cleanly(services: ApiServices, team: Team) -> None:
    with HttpServer(build_api(services), host="127.0.0.1", port=0) as server:
        client = httpx2.Client(base_url=server.url, headers=team.admin.headers, timeout=10)
        with client, client.stream("GET", "/v1/events/stream") as response:
            lines = response.iter_lines()
            next(lines)
            began = time.monotonic()
            server.stop()
            assert list(lines) == [""]  # the end of the answer, not of the connection

    assert time.monotonic() - began < 5


def test_a_client_that_does_not_read_holds_up_nobody(server: HttpServer, team: Team) -> None:
    address = (server.host, server.port)
    silent = [socket.create_connection(address) for _ in range(20)]
    request = "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n"
    for each in silent:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        each.sendall(request.format(team.admin.headers["authorization"]).encode())
    try:
        began = time.monotonic()
        for number in range(10):
            answer = team.admin.post("/v1/users", json={"name": f"Ada {number}", "role": "viewer"})
            assert answer.status_code == 201
        assert time.monotonic() - began < 10
    finally:
        for each in silent:
            each.close()
