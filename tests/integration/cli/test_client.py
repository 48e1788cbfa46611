"""The client against a real HTTP server that misbehaves on purpose."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from calibr.cli.client import Client
from calibr.cli.failures import ApiRefusal, CliError, Unreachable


@dataclass
class Seen:
    """What arrived, and how many of the next requests are dropped without an answer."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    drops: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers lists of ten in pages, problems, and rubbish."""

    seen: ClassVar[Seen]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.seen.requests.append({"path": url.path, "query": query, "headers": dict(self.headers), "body": body})
        if self.seen.drops:
            self.seen.drops -= 1
            self.close_connection = True
            return
        status, sent = self._reply(url.path, query)
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _reply(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == "/rubbish":
            return 200, b"<html>"
        if path == "/gateway":
            return 502, b"<html>"
        if path == "/refused":
            return 422, json.dumps({"detail": "no", "code": "schema", "faults": []}).encode()
        if path == "/plan.txt":
            return 200, "kopf\nzeile é\n".encode()
        first = int(query.get("after", 0))
        size = min(int(query.get("limit", 4)), 4)
        items = list(range(first, min(first + size, 10)))
        return 200, json.dumps({"items": items, "next": str(first + size) if first + size < 10 else None}).encode()


@contextmanager
def serving() -> Iterator[tuple[str, Seen]]:
    Handler.seen = Seen()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Handler.seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[tuple[Client, Seen]]:
    with serving() as (url, seen):
        client = Client(url, "secret-token")
        yield client, seen
        client.close()


def test_all_pages_are_read_until_there_is_no_next(server: tuple[Client, Seen]) -> None:
    client, seen = server

    assert list(client.pages("/things", {"state": "a", "empty": None})) == list(range(10))
    assert [request["query"].get("after") for request in seen.requests] == [None, "4", "8"]
    assert all(request["query"]["state"] == "a" and "empty" not in request["query"] for request in seen.requests)


def test_no_more_is_read_than_asked_for(server: tuple[Client, Seen]) -> None:
    client, seen = server

    assert list(client.pages("/things", limit=5)) == [0, 1, 2, 3, 4]
    assert [request["query"]["limit"] for request in seen.requests] == ["5", "1"]


def test_a_lost_answer_is_asked_for_again_under_the_same_key(server: tuple[Client, Seen]) -> None:
    client, seen = server
    seen.drops = 2

    client.post("/things", {"a": 1})

    keys = [request["headers"]["Idempotency-Key"] for request in seen.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert all(json.loads(request["body"]) == {"a": 1} for request in seen.requests)


def test_each_command_has_a_key_and_a_request_id_of_its_own(server: tuple[Client, Seen]) -> None:
    client, seen = server

    client.post("/things")
    client.post("/things")

    assert len({request["headers"]["Idempotency-Key"] for request in seen.requests}) == 2
    assert len({request["headers"]["X-Request-Id"] for request in seen.requests}) == 2
    assert seen.requests[0]["headers"]["Authorization"] == "Bearer secret-token"


def test_a_refusal_is_not_repeated(server: tuple[Client, Seen]) -> None:
    client, seen = server

    with pytest.raises(ApiRefusal) as refused:
        client.post("/refused")

    assert (refused.value.status, refused.value.exit_code) == (422, 2)
    assert len(seen.requests) == 1


@pytest.mark.parametrize("path", ["/rubbish", "/gateway"])
def test_what_is_no_calibr_server_is_said_to_be_none(server: tuple[Client, Seen], path: str) -> None:
    client, _ = server

    with pytest.raises(CliError, match="is it a Calibr server") as failed:
        client.get(path)

    assert failed.value.exit_code == 1


def test_a_text_is_streamed_by_lines(server: tuple[Client, Seen]) -> None:
    client, _ = server

    assert list(client.lines("/plan.txt")) == ["kopf", "zeile é"]


def test_nobody_there_is_said_with_the_address() -> None:
    client = Client("http://127.0.0.1:9", None)

    with pytest.raises(Unreachable, match=r"cannot reach http://127\.0\.0\.1:9 — is `calibr serve` running\?"):
        client.get("/v1/me")

    client.close()


def test_the_token_is_never_shown() -> None:
    client = Client("http://127.0.0.1:9", "secret-token")

    assert "secret-token" not in repr(client)
    client.close()


def test_a_proxy_of_the_environment_never_sees_what_stays_on_this_host(
    server: tuple[Client, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = Client(server[0].url, None)

    assert client.get("/things")["items"] == [0, 1, 2, 3]
    client.close()
