"""Reads one HTTP answer of the Admin API: data, or the error it means. Pure; vendor errors become ours only here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from calibr.connectors.shopify.errors import (
    PROTOCOL,
    STORE_FROZEN,
    THROTTLED,
    UNAUTHORIZED,
    UNAVAILABLE,
    CallError,
    CostReport,
    RefusedError,
    ThrottledError,
    TokenRefusedError,
    TooLargeError,
)

LONGEST_RETRY_AFTER_S: Final = 3_600
_SHOWN: Final = 300

_OK: Final = 200
_SUCCESSES: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_UNAUTHENTICATED: Final = 401
_SLOW_DOWN: Final = 429
_SERVER_ERRORS: Final = 500
_STATUS_MEANINGS: Final = MappingProxyType(
    {
        401: (UNAUTHORIZED, "Shopify refuses the access token (HTTP 401)."),
        402: (STORE_FROZEN, "The store is frozen (HTTP 402); its owner has to pay first."),
        403: (UNAUTHORIZED, "Shopify refuses the access token (HTTP 403)."),
        404: (PROTOCOL, "There is no Admin API at this address (HTTP 404); check shop_url."),
        423: (STORE_FROZEN, "The store is locked (HTTP 423); its owner has to act first."),
    }
)

_TOO_LARGE: Final = frozenset({"MAX_COST_EXCEEDED", "MAX_INPUT_SIZE_EXCEEDED"})
_MALFORMED: Final = frozenset(
    {"PARSE_ERROR", "INVALID_VARIABLE", "argumentLiteralsIncompatible", "undefinedField", "missingRequiredArguments"}
)
_INTERNAL: Final = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: its data and what it cost."""

    data: dict[str, Any]
    report: CostReport | None


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return the data of an answer. Raises `CallError` for everything that is not complete data."""
    if status != _OK:
        raise _status_error(status, headers, body)
    document = _parse(body)
    report = _read_report(document)
    errors = document.get("errors")
    if errors:
        raise _graphql_error(errors, document.get("data"), report)
    data = document.get("data")
    if not isinstance(data, dict):
        raise CallError(PROTOCOL, "Shopify's answer has neither data nor errors.", maybe_executed=True)
    return Answer(data, report)


def readable(text: object) -> str:
    """Cut foreign text to one short line, fit for a message."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", str(text))[:_SHOWN].strip()


def _status_error(status: int, headers: Mapping[str, str], body: bytes) -> CallError:
    if status == _SLOW_DOWN:
        wait = read_retry_after(headers)
        return ThrottledError(THROTTLED, "Shopify asks to slow down (HTTP 429).", retryable=True, retry_after_s=wait)
    if status >= _SERVER_ERRORS:
        # It may have come after the work was done.
        return CallError(UNAVAILABLE, f"Shopify failed (HTTP {status}).", retryable=True, maybe_executed=True)
    if status in _STATUS_MEANINGS:
        code, meaning = _STATUS_MEANINGS[status]
    elif status in _REDIRECTS:
        # Not followed: the token would go elsewhere.
        code, meaning = PROTOCOL, f"The store redirects (HTTP {status}); shop_url must name its permanent address."
    else:
        code, meaning = PROTOCOL, f"Shopify does not answer the request (HTTP {status})."
    said = f" It says: {text}" if (text := _said(body)) else ""
    if code == UNAUTHORIZED:
        return TokenRefusedError(code, meaning + said, may_renew=status == _UNAUTHENTICATED)
    return CallError(code, meaning + said, maybe_executed=status in _SUCCESSES)


def _said(body: bytes) -> str:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    errors = document.get("errors") if isinstance(document, dict) else None
    return readable(errors) if errors else ""


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds (a date form counts from the answer's own `Date`), bounded."""
    text = headers.get("retry-after", "").strip()
    number = re.fullmatch(r"([0-9]{1,9})(\.[0-9]+)?", text)
    if number:
        thousandths = int((number[2] or ".")[1:4].ljust(3, "0"))
        return min(int(number[1]) + thousandths / 1000, LONGEST_RETRY_AFTER_S)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(0, int(wait.total_seconds())), LONGEST_RETRY_AFTER_S)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise CallError(PROTOCOL, "Shopify's answer is not valid JSON.", retryable=True, maybe_executed=True) from err
    if not isinstance(document, dict):
        raise CallError(PROTOCOL, "Shopify's answer is not a JSON object.", retryable=True, maybe_executed=True)
    return document


def _read_report(document: dict[str, Any]) -> CostReport | None:
    extensions = document.get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    status = cost.get("throttleStatus") if isinstance(cost, dict) else None
    if not isinstance(cost, dict) or not isinstance(status, dict):
        return None
    maximum, available = _points(status.get("maximumAvailable")), _points(status.get("currentlyAvailable"))
    rate = _points(status.get("restoreRate"))
    if not maximum or available is None or not rate:
        return None
    requested, actual = _points(cost.get("requestedQueryCost")), _points(cost.get("actualQueryCost"))
    return CostReport(requested, actual, maximum, available, rate)


def _points(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _graphql_error(errors: object, data: object, report: CostReport | None) -> CallError:
    """Translate top-level errors; `maybe_executed` unless the code says that the store stopped before executing."""
    code, message = _first_error(errors)
    done = isinstance(data, dict) and any(value is not None for value in data.values())
    if code == "THROTTLED" and not done:
        return ThrottledError(THROTTLED, "The store's rate limit is reached.", retryable=True, report=report)
    if code in _TOO_LARGE and not done:
        return TooLargeError(PROTOCOL, f"The call is too large for Shopify: {message}")
    if code == "ACCESS_DENIED":
        return CallError(UNAUTHORIZED, f"The access token lacks a scope: {message}", maybe_executed=done)
    if code in _MALFORMED and not done:
        return RefusedError(PROTOCOL, f"Shopify does not understand the request: {message}")
    if code in _INTERNAL:
        return CallError(UNAVAILABLE, f"Shopify failed: {message}", retryable=True, maybe_executed=True)
    return CallError(PROTOCOL, f"Shopify answered with an error: {message}", maybe_executed=True)


def _first_error(errors: object) -> tuple[str | None, str]:
    first = errors[0] if isinstance(errors, list) and errors else errors
    if not isinstance(first, dict):
        return None, readable(first)
    extensions = first.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) else None, readable(first.get("message", "no message"))
