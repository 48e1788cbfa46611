"""Small SQL expressions that the compiled halves of the operations share. Nothing here is executed.

All integer arithmetic is PostgreSQL bigint: each caller states why it cannot overflow. Whole numbers are written into
the statement (they come from checked documents); texts are always bound.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Text,
    all_,
    any_,
    case,
    false,
    func,
    literal,
    literal_column,
    not_,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import cast

Expr = ColumnElement[Any]
"""An SQL expression of any type."""

_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

TRUE: Final[Expr] = true()
FALSE: Final[Expr] = false()


def whole(number: int) -> Expr:
    """A whole number as a constant of the statement; always bigint, since PostgreSQL takes a small one for an int."""
    return literal_column(f"{number}::bigint" if number >= 0 else f"({number})::bigint", BigInteger)


def null_amount() -> Expr:
    """The null of type bigint."""
    return literal_column("null::bigint", BigInteger)


def null_truth() -> Expr:
    """The null of type boolean: unknown."""
    return literal_column("null::boolean", Boolean)


def plus(value: Expr, number: int) -> Expr:
    """A sum with a whole number that may be negative; of 0, the value itself."""
    if number == 0:
        return value
    return value + whole(number) if number > 0 else value - whole(-number)


def quotient(numerator: Expr, denominator: int) -> Expr:
    """Bigint division, which truncates: the floor where the numerator is not negative."""
    return numerator if denominator == 1 else numerator // whole(denominator)


def text_literal(text: str) -> Expr:
    """A text as a bound parameter."""
    return literal(text, Text)


def text_array(texts: Iterable[str]) -> Expr:
    """A list of texts as one bound parameter, whatever its length."""
    return literal(list(texts), ARRAY(Text))


def is_any_of(value: Expr, array: Expr) -> Expr:
    """Whether the value is in the array; PostgreSQL hashes a constant array, whatever its length.

    Not `value == any_(array)`: SQLAlchemy would negate that into `value != ANY (array)`.
    """
    return value.op("=", is_comparison=True)(any_(array))


def is_none_of(value: Expr, array: Expr) -> Expr:
    """Whether the value is not in the array; also hashed, and not `value != all_(array)` either."""
    return value.op("<>", is_comparison=True)(all_(array))


def json_literal(text: str) -> Expr:
    """A jsonb constant, bound as its text."""
    return cast(literal(text, Text), JSONB)


def is_not_true(condition: Expr) -> Expr:
    """Whether a condition is false or unknown. Not `IS NOT true`, which binds tighter than the NOT of a condition."""
    return not_(func.coalesce(condition, FALSE, type_=Boolean()))


def if_else(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """CASE WHEN condition THEN then ELSE otherwise END."""
    return case((condition, then), else_=otherwise)


def where_present(present: Expr, then: Expr) -> Expr:
    """`then` where `present` is not null, else null."""
    return case((present.is_not(None), then))


def first_that_holds(branches: Sequence[tuple[Expr, Expr]], otherwise: Expr | None) -> Expr:
    """A CASE over conditions in order; `otherwise` where none holds."""
    if not branches:
        return null_amount() if otherwise is None else otherwise
    return case(*branches, else_=otherwise)


def greatest(values: Sequence[Expr]) -> Expr:
    """The largest of the values that are not null."""
    return values[0] if len(values) == 1 else func.greatest(*values, type_=BigInteger)


def least(values: Sequence[Expr]) -> Expr:
    """The smallest of the values that are not null."""
    return values[0] if len(values) == 1 else func.least(*values, type_=BigInteger)


def word(text: str) -> Expr:
    """A word of the closed lists, or the id of a guardrail, as a constant of the statement."""
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a word")
    return literal_column(f"'{text}'::text", Text)


def null_word() -> Expr:
    """The null of type text."""
    return literal_column("null::text", Text)
