"""The custom scalars: amounts come in as exact decimals and go out as text."""

from decimal import Decimal
from typing import Final

from graphql import ConstValueNode, GraphQLError, value_from_ast_untyped

from calibr_sandbox.money import parse_decimal


def parse_amount(value: object) -> Decimal:
    """Read an amount from a variable: text, or a JSON number by its shortest exact form."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError(f"{value!r} is not a decimal number")
    try:
        return parse_decimal(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise GraphQLError(str(error)) from error


def parse_amount_literal(node: ConstValueNode) -> Decimal:
    """Read an amount written in the query; a number keeps the digits it was written with."""
    text = getattr(node, "value", None)
    return parse_amount(text if isinstance(text, str) else value_from_ast_untyped(node))


AMOUNTS: Final = ("Money", "Decimal")
TEXTS: Final = ("ARN", "DateTime", "URL", "UnsignedInt64", "Money", "Decimal")
