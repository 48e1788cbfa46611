"""A subscriber to the sandbox's webhooks, and patience until it has got them."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Receiver:
    """What a subscriber got: headers and body of each try. `answers` are the statuses it gives, then 200."""

    url: str = ""
    tries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    is_open: threading.Event = field(default_factory=threading.Event)

    def prices(self) -> list[str]:
        """The first price of each body, in the order of arrival."""
        return [json.loads(body)["variants"][0]["price"] for _, body in list(self.tries)]

    def ids(self, name: str) -> list[str]:
        """The value of a header at each try."""
        return [headers[name] for headers, _ in list(self.tries)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive on a free port for as long as the block lasts."""
    receiver = Receiver()
    receiver.is_open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.is_open.wait(20)
            receiver.tries.append((dict(self.headers.items()), body))
            self.send_response(receiver.answers.popleft() if receiver.answers else 200)
            self.send_header("Location", receiver.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.is_open.set()
        server.shutdown()
        server.server_close()


def await_that(condition: Callable[[], bool]) -> None:
    """Wait until something is so; it may take fifteen seconds."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
