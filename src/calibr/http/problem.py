"""Every error leaves as `application/problem+json` (RFC 9457). The one place that maps kinds of errors to statuses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Literal

import orjson
import psycopg
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from calibr.core.errors import (
    CalibrError,
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from calibr.core.written_json import JsonNumber

MEDIA_TYPE: Final = "application/problem+json"
SHOWN_CHARACTERS: Final = 120
RETRY_AFTER_S: Final = "1"
PYDANTIC_OPENING: Final = re.compile(r"^[A-Z][a-z]+ should ")

STATUS_OF_KIND: Final[Mapping[type[CalibrError], int]] = MappingProxyType({
    Invalid: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    RateLimited: 429,
    Upstream: 502,
    Unavailable: 503,
})  # fmt: skip
STATUS_OF_CODE: Final[Mapping[str, int]] = MappingProxyType({
    "request.body": 400,
    "request.cursor": 400,
    "request.header": 400,
    "request.parameter": 400,
    "request.too_large": 413,
    "request.media_type": 415,
    "connection.return": 400,
    "precondition.failed": 412,
    "precondition.required": 428,
    "price_change.stale_revision": 412,
})  # fmt: skip
"""What is about the request itself and not about the thing that it asks for."""

CODE_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType({
    404: "request.no_such_path",
    405: "request.method_not_allowed",
    413: "request.too_large",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class FaultView:
    """One broken rule: where (`$.name` of the body, `query.limit`, `header.If-Match`), what was given, which rule."""

    path: str
    value: str | None
    rule: str
    code: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An error (RFC 9457). `code` is stable and meant for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    faults: list[FaultView]


def status_of(error: CalibrError) -> int:
    """The HTTP status of an error of the domain."""
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    return next((status for kind, status in STATUS_OF_KIND.items() if isinstance(error, kind)), 500)


def problem(status: int, code: str, detail: str, *, faults: Sequence[Fault] = (), retryable: bool = False) -> Problem:
    """Put a problem together."""
    views = [FaultView(f.path, f.value, f.rule, f.code) for f in faults]
    title = HTTPStatus(status).phrase
    return Problem(f"urn:calibr:problem:{code}", title, status, detail, code, retryable, views)


def problem_response(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response of a problem."""
    return Response(orjson.dumps(found), found.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def answer_calibr_error(request: Request, error: Exception) -> Response:
    """Errors of the domain. A missing scope and a missing token say so in `WWW-Authenticate` too (RFC 6750)."""
    assert isinstance(error, CalibrError)  # noqa: S101 - registered for this kind only
    if isinstance(error, Unavailable) and error.code.startswith("db."):
        return answer_database_error(request, error)
    status = status_of(error)
    found = problem(status, error.code, error.message, faults=error.faults, retryable=error.retryable)
    headers = {"Retry-After": RETRY_AFTER_S} if error.retryable else {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    elif error.code == "scope.missing":
        headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{request.state.scope_needed}"'
    return _answer(request, found, headers)


def answer_http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, no such method, a body that is too long."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this kind only
    code = CODE_OF_STATUS.get(error.status_code, "request.refused")
    details = {
        404: "There is nothing at this path.",
        405: f"{request.method} is not possible at this path.",
    }
    detail = details.get(error.status_code, str(error.detail))
    return _answer(request, problem(error.status_code, code, detail), error.headers)


def answer_bad_parameters(request: Request, error: Exception) -> Response:
    """Path and query parameters of the wrong form. Bodies are judged elsewhere."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this kind only
    faults = [_parameter_fault(item) for item in error.errors()]
    detail = sentence(faults)
    return _answer(request, problem(400, "request.parameter", detail, faults=faults))


def answer_database_error(request: Request, error: Exception) -> Response:
    """The database does not answer, or not in time. The reason is logged and not shown."""
    known = (OperationalError, PoolTimeout, psycopg.OperationalError, Unavailable)
    assert isinstance(error, known)  # noqa: S101 - called for these kinds only
    if isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
        detail = "Something else is at work on what this needs; try again."
        return _answer(request, problem(503, "db.busy", detail, retryable=True), {"Retry-After": RETRY_AFTER_S})
    request.state.logged_error = error
    found = problem(503, "db.unavailable", "The database does not answer; try again.", retryable=True)
    return _answer(request, found, {"Retry-After": RETRY_AFTER_S})


def sentence(faults: Sequence[Fault]) -> str:
    """All faults in one sentence: where, which rule, what was given."""
    return "; ".join(f"{f.path}: {f.rule}" + (f" (given: {f.value})" if f.value is not None else "") for f in faults)


def shown(value: object) -> str | None:
    """A given value as a fault shows it: scalars only, shortened. Containers might hold a secret."""
    if value is None or isinstance(value, dict | list | tuple | bytes):
        return None
    if isinstance(value, JsonNumber):
        return value.text[:SHOWN_CHARACTERS]
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def rule_of(message: str) -> str:
    """Pydantic's sentence as a rule: "Input should be a valid integer" becomes "must be a valid integer"."""
    return PYDANTIC_OPENING.sub("must ", message.removeprefix("Value error, "))


def _parameter_fault(item: Mapping[str, Any]) -> Fault:
    place: Literal["path", "query", "header"] | str = item["loc"][0]  # noqa: PYI051 - the usual ones, for the reader
    given = None if item["type"] == "missing" else shown(item.get("input"))
    return Fault(path=".".join(str(part) for part in (place, *item["loc"][1:])), value=given, rule=rule_of(item["msg"]))


def _answer(request: Request, found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    request.state.problem_code = found.code
    return problem_response(found, headers)
