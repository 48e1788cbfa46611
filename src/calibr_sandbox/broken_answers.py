"""Answers that do not arrive as they should: the connection is cut, the body breaks off, the body trickles in."""

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_SEND: Final = "calibr_sandbox.send"
_PARTS: Final = 10


def remember_send(app: ASGIApp) -> ASGIApp:
    """Keep the server's own `send` in the scope, where no middleware has wrapped it yet."""

    async def remembering(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_SEND] = send
        await app(scope, receive, send)

    return remembering


async def drop_connection(scope: Scope, *, after_sending: bool = False) -> None:
    """Cut the connection, as a lost network does: at once, or once what was sent has left.

    ASGI has no word for it; uvicorn's `send` belongs to an object that holds the transport.
    """
    transport = getattr(getattr(scope.get(_SEND), "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the server does not let the sandbox cut a connection")
    if after_sending:
        transport.close()
    else:
        transport.abort()
    # The server learns of the loss in the next turn of the loop, and then expects no answer anymore.
    await asyncio.sleep(0)


async def send_half(response: Response, scope: Scope, send: Send) -> None:
    """Send a response that breaks off in the middle of its body."""
    body = bytes(response.body)
    await _begin(response, send)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await drop_connection(scope, after_sending=True)


async def send_slowly(response: Response, send: Send, duration_s: float) -> None:
    """Send a whole response whose body takes this many seconds."""
    body = bytes(response.body)
    size = -(-len(body) // _PARTS)
    await _begin(response, send)
    for part in range(_PARTS):
        await asyncio.sleep(duration_s / _PARTS)
        piece = body[part * size : (part + 1) * size]
        await send({"type": "http.response.body", "body": piece, "more_body": part < _PARTS - 1})


async def _begin(response: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
