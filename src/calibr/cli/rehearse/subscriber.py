"""A subscriber for rehearsals, a process of its own: writes down every arrival, and keeps an inbox by `webhook-id`.

`python -m calibr.cli.rehearse.subscriber FILE SEED` prints `{"event": "ready", "url": ...}` and runs until SIGTERM. A
share of the arrivals is refused on purpose, before the inbox sees them.
"""

import json
import random
import socket
import sys
from pathlib import Path
from typing import IO, Final

import uvicorn
from starlette.types import Receive, Scope, Send

REFUSED_SHARE: Final = 0.002
_HEADERS: Final = [(b"content-type", b"text/plain")]


class Subscriber:
    """The ASGI application. One process, one event loop: the order of its lines is the order of arrival."""

    def __init__(self, file: IO[str], seed: int) -> None:
        self._file = file
        self._inbox: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery in."""
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status = 503 if self._random.random() < REFUSED_SHARE else 204
        if status == 204:  # noqa: PLR2004 - the one success that it gives
            self._take(json.loads(body))
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, event: dict[str, object]) -> None:
        event_id = str(event["event_id"])
        effect = event_id not in self._inbox
        self._inbox.add(event_id)
        key = f"{event['aggregate_type']} {event['aggregate_id']}"
        self._file.write(json.dumps({"id": event_id, "key": key, "effect": effect}) + "\n")
        self._file.flush()


def main(path: Path, seed: int) -> None:
    """Serve on a free port of the loopback address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    with path.open("a", encoding="utf-8") as file:
        config = uvicorn.Config(Subscriber(file, seed), access_log=False, log_level="warning", lifespan="off")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        sys.stdout.write(json.dumps({"event": "ready", "url": url}) + "\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
