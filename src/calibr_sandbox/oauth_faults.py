"""Faults of the token endpoint: refused, delayed, or lost on the way there or back."""

import asyncio
from collections.abc import Callable
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from calibr_sandbox.broken_answers import drop_connection, send_half, send_slowly
from calibr_sandbox.faults import Fault, FaultKind

OPERATION: Final = "oauth/access_token"
"""What rules call the token endpoint."""

_REFUSED: Final = {FaultKind.THROTTLE: 429, FaultKind.TOO_MANY_REQUESTS: 429, FaultKind.SERVER_ERROR: 503}


async def answer_with(fault: Fault | None, act: Callable[[], Response]) -> Response:
    """Let a call be carried out, or not, as a fault says."""
    if fault is None:
        return act()
    if fault.kind in _REFUSED:
        headers = {"Retry-After": str(float(fault.rule.retry_after_s))} if _REFUSED[fault.kind] != 503 else {}  # noqa: PLR2004
        return Response(orjson.dumps({"errors": "Try again later"}), _REFUSED[fault.kind], headers, "application/json")
    if fault.kind is FaultKind.DROP_BEFORE:
        return _Broken(Response(), fault)
    if fault.kind is FaultKind.DELAY_BEFORE:
        await asyncio.sleep(fault.delay_s)
    response = act()
    if fault.kind is FaultKind.DELAY_AFTER:
        await asyncio.sleep(fault.delay_s)
    return _Broken(response, fault)


class _Broken(Response):
    """A response that arrives as its fault says."""

    def __init__(self, whole: Response, fault: Fault) -> None:
        super().__init__()
        self._whole = whole
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self._fault.kind
        if kind in {FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER}:
            await drop_connection(scope)
        elif kind is FaultKind.TRUNCATE:
            await send_half(self._whole, scope, send)
        elif kind is FaultKind.SLOW_BODY:
            await send_slowly(self._whole, send, self._fault.delay_s)
        else:
            await self._whole(scope, receive, send)
