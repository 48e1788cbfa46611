"""A subscriber for rehearsals, a process of its own: writes down every arrival, and keeps an inbox by `webhook-id`.

`python -m calibr.cli.rehearse.subscriber FILE SEED` prints `{"event": "ready", "url": ...}` and runs until SIGTERM; the
secret that signs arrivals is expected in FILE with the suffix `.secret`. On purpose a share of the arrivals is refused
before the inbox sees them, and of a share the answer is lost after it did. No event meets that twice: after a second
failure the schedule of webhooks waits for minutes.
"""

import asyncio
import hashlib
import json
import random
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.types import Receive, Scope, Send

REFUSED_SHARE: Final = 0.001
UNANSWERED_SHARE: Final = 0.001
_TAKEN: Final = 204
_REFUSED: Final = 503
_LOOK_EVERY_S: Final = 0.02


class Subscriber:
    """The ASGI application. One process, one event loop: the order of its lines is the order of arrival.

    The effect of an event and its place in the inbox are one line of the file, so that neither exists without the
    other. The inbox knows messages by their header and the line tells the event by its body: were an event sent again
    under another name, it would have two effects.
    """

    def __init__(self, file: IO[str], secret: Path, seed: int) -> None:
        self._file = file
        self._secret = secret
        self._verifier: Webhook | None = None
        self._inbox: set[str] = set()
        self._failed: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery in."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _whole(receive)
        verifier = await self._ready()
        message_id, fate = headers.get("webhook-id", ""), self._random.random()
        spared = message_id in self._failed
        if fate < REFUSED_SHARE + UNANSWERED_SHARE:
            self._failed.add(message_id)
        if spared or fate >= REFUSED_SHARE:
            self._take(message_id, body, is_signed=_is_signed(verifier, body, headers))
        status = _TAKEN if spared or fate >= REFUSED_SHARE + UNANSWERED_SHARE else _REFUSED
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, message_id: str, body: bytes, *, is_signed: bool) -> None:
        event = json.loads(body)
        effect = message_id not in self._inbox
        self._inbox.add(message_id)
        line = {
            "id": str(event["event_id"]),
            "key": f"{event['aggregate_type']} {event['aggregate_id']}",
            "effect": effect,
            "signed": is_signed,
            "leaf": hashlib.sha256(b"\0" + body).hexdigest(),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    async def _ready(self) -> Webhook:
        """The secret is known only after the subscription was made, and its first event can be as fast."""
        while self._verifier is None:
            if self._secret.exists():
                self._verifier = Webhook(self._secret.read_text(encoding="utf-8"))
            else:
                await asyncio.sleep(_LOOK_EVERY_S)
        return self._verifier


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _is_signed(verifier: Webhook, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        verifier.verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


def main(path: Path, seed: int) -> None:
    """Serve on a free port of the loopback address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    with path.open("a", encoding="utf-8") as file:
        application = Subscriber(file, path.with_suffix(".secret"), seed)
        config = uvicorn.Config(application, access_log=False, log_level="warning", lifespan="off")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        sys.stdout.write(json.dumps({"event": "ready", "url": url}) + "\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
