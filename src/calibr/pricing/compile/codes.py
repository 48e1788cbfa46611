"""How the verdict on an item travels through a statement: one number for reason and guardrail, words at the end."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import case

from calibr.pricing.guardrails import Guardrail
from calibr.pricing.sql import Expr, null_word, whole, word
from calibr.pricing.vocabulary import Reason

SHIFT: Final = 64
"""Codes below it carry no reason; 50 guardrails, counted from 1, fit below it."""

_REASON_NUMBERS: Final[Mapping[Reason, int]] = MappingProxyType(
    {reason: number for number, reason in enumerate(Reason, start=1)}
)


def guardrail_code(guardrail: Guardrail | None) -> int:
    """The number of a guardrail, 0 for none."""
    return 0 if guardrail is None else guardrail.position + 1


def code(reason: Reason, guardrail: Guardrail | None = None) -> int:
    """The number of a block: its reason, and the guardrail that blocked."""
    return _REASON_NUMBERS[reason] * SHIFT + guardrail_code(guardrail)


def is_blocked(number: Expr) -> Expr:
    """Whether a code carries a reason."""
    return number >= whole(SHIFT)


def has_reason(number: Expr, reason: Reason) -> Expr:
    """Whether a code carries this reason."""
    low = _REASON_NUMBERS[reason] * SHIFT
    return number.between(whole(low), whole(low + SHIFT - 1))


def reason_word(number: Expr, reasons: Sequence[Reason]) -> Expr:
    """The reason of a code in words, of the reasons that there can be."""
    if not reasons:
        return null_word()
    words = [(has_reason(number, reason), word(reason)) for reason in reasons]
    return case((number < whole(SHIFT), null_word()), *words, else_=null_word())


def guardrail_word(number: Expr, guardrails: Sequence[Guardrail]) -> Expr:
    """The id of the guardrail with this number, of the guardrails that there can be."""
    if not guardrails:
        return null_word()
    ids = [(number == whole(guardrail_code(guardrail)), word(guardrail.id)) for guardrail in guardrails]
    return case((number == whole(0), null_word()), *ids, else_=null_word())
