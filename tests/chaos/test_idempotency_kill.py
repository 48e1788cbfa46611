"""One idempotency key, fifty requests at once, a server killed in between: one change, fifty equal answers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from calibr.cli.demo.processes import Launched, Processes, run_once
from calibr.cli.demo.workspace import workspace

AT_ONCE = 50
BODY = {"name": "Ada", "role": "author"}


def serve(processes: Processes, data_dir: Path, port: int = 0) -> Launched:
    server = processes.launch("server", ["calibr", "serve", "--json", "--port", str(port), "--data-dir", str(data_dir)])
    server.await_ready()
    return server


@pytest.mark.slow
@pytest.mark.parametrize("patience_s", [0.02, 30.0], ids=["before the first answer", "after the first answer"])
def test_fifty_requests_under_one_key_and_a_kill_make_one_change(patience_s: float) -> None:
    with workspace() as place:
        processes = Processes(place)
        try:
            server = serve(processes, place.data_dir)
            made = run_once(
                ["calibr", "tenant", "create", "Shop", "--admin", "Root", "--json", "--data-dir", str(place.data_dir)]
            )
            headers = {"Authorization": f"Bearer {made['token']}"}
            answers = fire(server.url, headers, patience_s, lambda: again(processes, server, place.data_dir))
            with httpx2.Client(base_url=server.url, headers=headers) as client:
                users = [user["name"] for user in client.get("/v1/users").json()["items"]]
                events = client.get("/v1/events", params={"type": "user.created"}).json()["items"]
        finally:
            processes.end_all()

    assert len(answers) == AT_ONCE
    assert set(answers) == {answers[0]}
    assert users.count("Ada") == 1
    assert [event["payload"]["name"] for event in events].count("Ada") == 1


def again(processes: Processes, server: Launched, data_dir: Path) -> None:
    """Kill the server the hard way and start it anew on the same port."""
    server.process.kill()
    server.process.wait()
    serve(processes, data_dir, int(server.url.rpartition(":")[2]))


def fire(url: str, headers: dict[str, str], patience_s: float, kill: Callable[[], None]) -> list[tuple[int, bytes]]:
    """Send one request from many clients until each is answered; kill at the first answer or the end of patience."""
    first, start = threading.Event(), threading.Barrier(AT_ONCE)

    def send(number: int) -> tuple[int, bytes]:
        start.wait()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if number >= AT_ONCE // 10 and not first.is_set():
                time.sleep(0.001)  # a few are on their way when the kill comes, the rest meet it
            try:
                with httpx2.Client(base_url=url, headers={**headers, "Idempotency-Key": "fifty"}, timeout=30) as client:
                    answer = client.post("/v1/users", json=BODY)
            except httpx2.TransportError:
                time.sleep(0.05)
                continue
            first.set()
            if answer.status_code not in {409, 503}:
                return answer.status_code, answer.content
            time.sleep(0.05)
        raise AssertionError(f"client {number} got no answer")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [pool.submit(send, number) for number in range(AT_ONCE)]
        first.wait(patience_s)
        kill()
        return [each.result() for each in sent]
