"""The event log over HTTP: pages, filters, the stream that goes on where it stopped."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from rest import Team


def connect_hook(team: Team, name: str = "hook", **more: object) -> dict[str, Any]:
    body = {"kind": "webhook", "name": name, "config": {"url": "https://example.com/hooks"}, **more}
    answer = team.admin.post("/v1/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def seqs(page: dict[str, Any]) -> list[int]:
    return [event["seq"] for event in page["items"]]


def test_events_are_listed_in_the_order_of_the_log(team: Team) -> None:
    connect_hook(team)

    page = team.admin.get("/v1/events").json()

    assert seqs(page) == list(range(1, len(page["items"]) + 1))
    assert page["items"][-1]["type"] == "subscription.created"
    assert page["items"][-1]["payload"]["name"] == "hook"
    assert page["next"] is None


def test_pages_follow_each_other_without_a_gap(team: Team) -> None:
    for number in range(5):
        connect_hook(team, f"hook {number}")

    found, after = [], None
    while True:
        query = {"limit": 2, **({"after": after} if after else {})}
        page = team.admin.get("/v1/events", params=query).json()
        found += seqs(page)
        if (after := page["next"]) is None:
            break

    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 9


def test_filters_leave_out_what_does_not_fit(team: Team) -> None:
    made = connect_hook(team)["subscription"]
    team.admin.post(f"/v1/subscriptions/{made['id']}/pause")

    def types(**query: str) -> list[str]:
        return [event["type"] for event in team.admin.get("/v1/events", params=query).json()["items"]]

    assert types(type="subscription.*") == ["subscription.created", "subscription.paused"]
    assert types(type="subscription.paused") == ["subscription.paused"]
    assert types(aggregate_type="subscription", aggregate_id=made["id"]) == types(type="subscription.*")
    assert types(since="2999-01-01T00:00:00Z") == []
    assert types(until="2000-01-01T00:00:00Z") == []
    assert len(types(since="2000-01-01T00:00:00Z")) == len(types())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "needs a time zone"),
        ({"type": "DROP TABLE"}, "type"),
        ({"after": "nonsense"}, "query.after"),
    ],
)
def test_a_bad_parameter_is_named(team: Team, query: dict[str, str], said: str) -> None:
    answer = team.admin.get("/v1/events", params=query)

    assert answer.status_code in {400, 422}
    assert said in answer.text


@contextmanager
def stream(team: Team, **query: str | int) -> Iterator[Iterator[str]]:
    with team.admin.stream("GET", "/v1/events/stream", params=query, timeout=10) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield response.iter_lines()


def blocks(lines: Iterator[str], count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    block: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        else:
            if "id" in block:
                found.append(block)
            block = {}
        if len(found) == count:
            break
    return found


def test_the_stream_ends_with_the_log_when_it_is_not_to_follow(team: Team) -> None:
    connect_hook(team)
    listed = team.admin.get("/v1/events").json()["items"]

    with stream(team, after=0, follow="false") as lines:
        found = blocks(lines, 1_000)

    assert [int(block["id"]) for block in found] == [event["seq"] for event in listed]
    assert json.loads(found[-1]["data"])["event_id"] == listed[-1]["event_id"]
    assert found[-1]["event"] == "subscription.created"


def test_the_stream_brings_what_happens_while_it_is_open(team: Team) -> None:
    made = connect_hook(team)["subscription"]
    later = threading.Timer(0.3, lambda: team.admin.post(f"/v1/subscriptions/{made['id']}/pause"))
    later.start()

    with stream(team) as lines:
        (found,) = blocks(lines, 1)

    later.join()
    assert found["event"] == "subscription.paused"


def test_a_client_that_reconnects_misses_nothing_and_gets_nothing_twice(team: Team) -> None:
    made = connect_hook(team)["subscription"]
    with stream(team, after=0) as lines:
        first = blocks(lines, 2)
    team.admin.post(f"/v1/subscriptions/{made['id']}/pause")

    headers = {"Last-Event-ID": first[-1]["id"]}
    with team.admin.stream("GET", "/v1/events/stream?follow=false", headers=headers) as response:
        rest = blocks(response.iter_lines(), 1_000)

    found = [int(block["id"]) for block in (*first, *rest)]
    assert found == list(range(1, len(found) + 1))
    assert rest[-1]["event"] == "subscription.paused"


def test_a_last_event_id_that_is_none_is_refused(team: Team) -> None:
    answer = team.admin.get("/v1/events/stream", headers={"Last-Event-ID": "x" * 30})

    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.json()["detail"]


def test_a_stream_holds_no_connection_to_the_database(team: Team, make_team: Callable[[], Team]) -> None:
    with ExitStackOfStreams(team, 25):
        began = time.monotonic()
        for _ in range(5):
            assert make_team().admin.get("/v1/me").status_code == 200
        assert time.monotonic() - began < 20


class ExitStackOfStreams:
    """Many streams at a time, more than there are connections to the database."""

    def __init__(self, team: Team, count: int) -> None:
        self._clients = [httpx2.Client(base_url=team.admin.base_url, headers=team.admin.headers) for _ in range(count)]
        self._open: list[Any] = []

    def __enter__(self) -> None:
        for client in self._clients:
            opened = client.stream("GET", "/v1/events/stream", timeout=10)
            assert opened.__enter__().status_code == 200
            self._open.append(opened)

    def __exit__(self, *_: object) -> None:
        for opened in self._open:
            opened.__exit__(None, None, None)
        for client in self._clients:
            client.close()
