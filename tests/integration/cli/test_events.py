"""`calibr events` and `calibr subscription` against a real server."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE
from typing import Self
from urllib.parse import parse_qs, urlsplit

import pytest
from terminal import Installation, Terminal


@pytest.fixture
def admin(calibr: Terminal, installation: Installation) -> Terminal:
    calibr.become(installation.server.url, installation.tokens["admin"])
    return calibr


def test_the_tail_shows_what_happened_one_line_each(admin: Terminal) -> None:
    shown = admin("events", "tail", "--no-follow", "--type", "user.created", "--since", "2020-01-01T00:00:00Z")

    assert shown.code == 0
    assert len(shown.out.splitlines()) == 3
    assert "user.created" in shown.out


def test_the_tail_prints_json_lines(admin: Terminal) -> None:
    lines = admin("events", "tail", "--no-follow", "--since", "2020-01-01T00:00:00Z", "--json").out.splitlines()

    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "tenant.created"


def test_a_tail_whose_stream_breaks_goes_on_where_it_stopped() -> None:
    with FlakyServer() as server:
        command = [sys.executable, "-m", "calibr", "events", "tail", "--json", "--since", "2026-01-01T00:00:00Z"]
        environment = {**os.environ, "CALIBR_URL": server.url, "CALIBR_TOKEN": "clbr_live_x"}
        tail = subprocess.Popen(command, env=environment, stdout=PIPE, stderr=PIPE, text=True)
        try:
            assert tail.stdout is not None
            found = [json.loads(tail.stdout.readline())["seq"] for _ in range(3)]
            tail.send_signal(signal.SIGINT)
            code, said = tail.wait(10), tail.stderr.read() if tail.stderr else ""
        finally:
            tail.kill()
            tail.communicate()

    assert found == [1, 2, 8]
    assert server.asked_after[:4] == [None, "1", "2", "7"]
    assert (code, "Traceback" in said) == (130, False)


class FlakyServer:
    """Streams one event at a time: then it breaks off, ends, or shows only that it lives; at last it waits."""

    def __init__(self) -> None:
        self.asked_after: list[str | None] = []
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                self.send_response(200)
                if asked.path.endswith("/head"):
                    self.send_header("Content-Type", "application/json")
                    self.end_headers()
                    self.wfile.write(b'{"seq": 0}')
                    return
                flaky.asked_after.append(parse_qs(asked.query).get("after", [None])[0])
                turn = len(flaky.asked_after)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Content-Length", "100000" if turn == 1 else str(len(ANSWERS[turn])))
                self.end_headers()
                self.wfile.write(ANSWERS[turn])
                if turn == len(ANSWERS):
                    time.sleep(5)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def event_block(seq: int) -> bytes:
    event = {"type": "user.created", "aggregate_type": "user", "aggregate_id": "u", "actor": "user:x", "payload": {}}
    return f"id: {seq}\nevent: user.created\ndata: {json.dumps({**event, 'at': '2026-01-01T00:00:00Z'})}\n\n".encode()


ANSWERS = {1: event_block(1), 2: event_block(2), 3: b"id: 7\n: still here\n\n", 4: event_block(8)}


def test_a_subscription_is_made_watched_and_ended(admin: Terminal) -> None:
    made = admin("subscription", "create", "erp", "--to", "https://example.com/hook", "--type", "price.*", "--json")
    secret = made.document["secret"]
    assert secret.startswith("whsec_")
    assert "https://example.com/hook" in admin("subscription", "list").out
    deadline = time.monotonic() + 20
    while "behind   0 of" not in (shown := admin("subscription", "show", "erp").out):
        assert time.monotonic() < deadline, shown  # its own making is an event that a worker has to pass first
    assert admin("subscription", "pause", "erp").out.strip() == "erp is paused"
    assert admin("subscription", "resume", "erp").out.strip() == "erp is active"
    assert admin("subscription", "rotate-secret", "erp", "--json").document["secret"] != secret
    assert admin("subscription", "replay", "erp", "--from-seq", "0").out.strip() == "erp is replayed"
    assert admin("subscription", "dead-letters", "erp").out.strip() == "nothing is parked"
    refused = admin("subscription", "redeliver", "erp")
    assert (refused.code, "no such dead letters" in refused.err) == (2, True)
    assert admin("subscription", "delete", "erp").out.strip() == "erp is deleted"
    gone = admin("subscription", "show", "erp")
    assert (gone.code, "there is no subscription" in gone.err) == (2, True)


def test_a_private_address_is_refused_in_one_line(admin: Terminal) -> None:
    refused = admin("subscription", "create", "inside", "--to", "https://192.168.1.10/hook")

    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) <= 2
    assert "config.url" in refused.err
