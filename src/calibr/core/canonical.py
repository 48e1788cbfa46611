"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that documents can be hashed and compared."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from calibr.core.written_json import JsonNumber

CanonicalInput = (
    str | bool | int | float | JsonNumber | Sequence["CanonicalInput"] | Mapping[str, "CanonicalInput"] | None
)
"""What can be made canonical. Integers beyond 2**53 are written as the nearest binary64, as the RFC asks."""

_EXPONENT_FROM = 21
_FRACTION_DOWN_TO = -7


def canonical_json(value: CanonicalInput) -> bytes:
    """Return the RFC 8785 form of `value` in UTF-8.

    Raises ValueError for what JSON cannot carry: NaN, infinities, lone surrogates, other types.
    """
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts).encode("utf-8")


def _write(value: object, emit: Callable[[str], object]) -> None:
    if value is None or isinstance(value, bool):
        emit("null" if value is None else "true" if value else "false")
    elif isinstance(value, str):
        emit(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, int | float | JsonNumber):
        emit(_number(value))
    elif isinstance(value, Mapping):
        _write_object(value, emit)
    elif isinstance(value, list | tuple):
        emit("[")
        for index, item in enumerate(value):
            if index:
                emit(",")
            _write(item, emit)
        emit("]")
    else:
        raise ValueError(f"{type(value).__name__} has no JSON form")


def _write_object(members: Mapping[object, object], emit: Callable[[str], object]) -> None:
    emit("{")
    for index, name in enumerate(sorted(members, key=_utf16)):
        if index:
            emit(",")
        emit(json.dumps(name, ensure_ascii=False))
        emit(":")
        _write(members[name], emit)
    emit("}")


def _utf16(name: object) -> bytes:
    if not isinstance(name, str):
        raise ValueError(f"a member name must be text, not {type(name).__name__}")  # noqa: TRY004 - as documented
    return name.encode("utf-16-be")


def _number(value: float | JsonNumber) -> str:
    """Return the number as ECMAScript prints a binary64."""
    double = float(value.text) if isinstance(value, JsonNumber) else float(value)
    if not math.isfinite(double):
        raise ValueError(f"{value!r} is beyond the numbers of JSON")
    if double == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(double)).normalize().as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - finite, see above; narrows the type
    text = "".join(map(str, digits))
    return ("-" if sign else "") + _ecmascript(text, len(text) + exponent)


def _ecmascript(digits: str, point: int) -> str:
    """Place the decimal point of 0.DIGITS x 10**point by the rules of Number::toString."""
    count = len(digits)
    if count <= point <= _EXPONENT_FROM:
        return digits.ljust(point, "0")
    if 0 < point <= _EXPONENT_FROM:
        return f"{digits[:point]}.{digits[point:]}"
    if _FRACTION_DOWN_TO < point - 1 < 0:
        return "0." + "0" * -point + digits
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
