"""The outermost layer of every request: its id, log line and metrics, the cap on its body, the headers of its answer.

Whatever nobody expected ends here: logged with the request id, answered without a stack trace.
"""

import re
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calibr.http.problem import problem, problem_response
from calibr.monitor import Metrics

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""A selector may list 100,000 SKUs."""
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNMATCHED: Final = "unmatched"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_LENGTH_DIGITS: Final = 18
CLIENT_CLOSED: Final = 499

FIXED_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

log = structlog.stdlib.get_logger("calibr.http")


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    scope: Scope
    request_id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 500
    """What the log shows if no answer was begun."""
    is_begun: bool = False
    is_finished: bool = False
    received: int = 0

    @property
    def route(self) -> str:
        """The template of the path, which has no ids in it."""
        return str(getattr(self.scope.get("route"), "path", UNMATCHED))

    @property
    def method(self) -> str:
        """The method, or `other`: a caller must not be able to make metrics grow without end."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def state(self) -> MutableMapping[str, Any]:
        """What the layers inside noted."""
        state: MutableMapping[str, Any] = self.scope["state"]
        return state


class EdgeMiddleware:
    """See the module."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, _request_id(scope))
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        self.metrics.http_in_flight.inc()
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._answer(exchange, receive, send)
            finally:
                self._finish(exchange)
                structlog.contextvars.unbind_contextvars("tenant_id", "actor", "correlation_id")

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        async def capped_receive() -> Message:
            message = await receive()
            exchange.received += len(message.get("body", b""))
            if exchange.received > MAX_BODY_BYTES:
                raise _too_large()
            return message

        async def labeled_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status, exchange.is_begun = message["status"], True
                _label(message, exchange.request_id)
            elif not message.get("more_body", False):
                self._finish(exchange)  # before the last byte, so that whoever has the answer finds the line
            await send(message)

        if _declared_length(exchange.scope) > MAX_BODY_BYTES:
            exchange.state["problem_code"] = "request.too_large"
            found = problem(413, "request.too_large", _too_large().detail)
            await problem_response(found)(exchange.scope, receive, labeled_send)
        else:
            await self._run(exchange, capped_receive, labeled_send)

    async def _run(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        try:
            await self.app(exchange.scope, receive, send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED
        except Exception:
            log.exception("http.request_crashed", method=exchange.method, route=exchange.route)
            if exchange.is_begun:
                raise  # half an answer is out: the connection has to break so that nobody takes it for a whole one
            exchange.state["problem_code"] = "internal"
            detail = f"Something broke in Calibr; its log tells more under request id {exchange.request_id}."
            await problem_response(problem(500, "internal", detail))(exchange.scope, receive, send)

    def _finish(self, exchange: Exchange) -> None:
        """Count and log, once."""
        if exchange.is_finished:
            return
        exchange.is_finished = True
        self.metrics.http_in_flight.dec()
        method, route = exchange.method, exchange.route
        self.metrics.http_requests.labels(method, route, str(exchange.status)).inc()
        self.metrics.http_duration.labels(method, route).observe(time.perf_counter() - exchange.started)
        if (code := exchange.state.get("problem_code")) is not None:
            self.metrics.http_errors.labels(method, route, code).inc()
        _log(exchange)


def _request_id(scope: Scope) -> str:
    """The caller's id if it is harmless, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else str(uuid4())


def _declared_length(scope: Scope) -> int:
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared[:MAX_LENGTH_DIGITS]) if declared.isdecimal() else 0


def _too_large() -> HTTPException:
    return HTTPException(413, f"The body has more than {MAX_BODY_BYTES} bytes.")


def _label(message: Message, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id
    for name, value in FIXED_HEADERS:
        headers.setdefault(name, value)


def _log(exchange: Exchange) -> None:
    """One line per request: debug for reads that went well, info for the rest, error where a person must look."""
    facts = {
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "duration_ms": round((time.perf_counter() - exchange.started) * 1000, 1),
    }
    if (code := exchange.state.get("problem_code")) is not None:
        facts["code"] = code
    hidden = exchange.state.get("logged_error")
    if hidden is not None:
        log.error("http.request_failed", **facts, exc_info=hidden)
    elif exchange.method == "GET" and code is None:
        log.debug("http.request_answered", **facts)
    else:
        log.info("http.request_answered", **facts)
