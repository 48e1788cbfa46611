"""The JSON border: takes an answer apart and refuses any other shape than the documents ask for."""

from typing import Any

from calibr.connectors.shopify.errors import PROTOCOL, CallError


def as_object(value: object, what: str) -> dict[str, Any]:
    """Return `value` as a JSON object. Raises `CallError` naming `what`."""
    if not isinstance(value, dict):
        raise _misshapen(what, "an object")
    return value


def as_list(value: object, what: str) -> list[Any]:
    """Return `value` as a JSON array. Raises `CallError` naming `what`."""
    if not isinstance(value, list):
        raise _misshapen(what, "a list")
    return value


def as_text(value: object, what: str) -> str:
    """Return `value` as a JSON string. Raises `CallError` naming `what`."""
    if not isinstance(value, str):
        raise _misshapen(what, "a text")
    return value


def as_count(value: object, what: str) -> int:
    """Return a count; Shopify writes 64-bit counts as strings. Raises `CallError` naming `what`."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _misshapen(what, "a count")


def _misshapen(what: str, expected: str) -> CallError:
    return CallError(PROTOCOL, f"Shopify's answer has no {what} that is {expected}.", maybe_executed=True)
