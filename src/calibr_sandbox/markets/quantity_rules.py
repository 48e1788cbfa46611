"""What a quantity rule and a price break must look like, and that they fit together. No I/O."""

from collections.abc import Iterator
from typing import Final, NamedTuple


class Rule(NamedTuple):
    """How many may be bought: from minimum to maximum, in steps."""

    minimum: int
    maximum: int | None
    increment: int


DEFAULT_RULE: Final = Rule(1, None, 1)
Problem = tuple[str, str]
"""The sentence and the code (without its prefix) of what is wrong."""


def rule_problems(rule: Rule) -> Iterator[Problem]:
    """Check a rule by itself."""
    minimum, maximum, increment = rule
    if minimum < 1:
        yield "Minimum is less than one", "MINIMUM_IS_LESS_THAN_ONE"
    if increment < 1:
        yield "Increment is less than one", "INCREMENT_IS_LESS_THAN_ONE"
    if maximum is not None and maximum < 1:
        yield "Maximum is less than one", "MAXIMUM_IS_LESS_THAN_ONE"
    if increment > minimum:
        yield "Increment is greater than minimum", "INCREMENT_IS_GREATER_THAN_MINIMUM"
    if maximum is not None and minimum > maximum:
        yield "Minimum is greater than maximum", "MINIMUM_GREATER_THAN_MAXIMUM"
    if increment >= 1 and minimum % increment:
        yield "minimum is not a multiple of increment", "MINIMUM_NOT_A_MULTIPLE_OF_INCREMENT"
    if increment >= 1 and maximum is not None and maximum % increment:
        yield "Maximum is not a multiple of increment", "MAXIMUM_NOT_A_MULTIPLE_OF_INCREMENT"


def rule_problems_with_breaks(rule: Rule, breaks: list[int]) -> Iterator[Problem]:
    """Check a good rule against the minimum quantities of the price breaks that stay."""
    if any(quantity < rule.minimum for quantity in breaks):
        yield (
            "Minimum is higher than the quantity price break minimum",
            "MIN_HIGHER_THAN_QUANTITY_PRICE_BREAK_MIN",
        )
    if rule.maximum is not None and any(quantity > rule.maximum for quantity in breaks):
        yield "Maximum is lower than the quantity price break minimum", "MAX_LOWER_THAN_QUANTITY_PRICE_BREAK_MIN"
    if any(quantity % rule.increment for quantity in breaks):
        yield (
            "Increment must be a multiple of the quantity price break minimum",
            "INCREMENT_NOT_A_MULTIPLE_OF_QUANTITY_PRICE_BREAK_MIN",
        )


def break_problems(quantity: int, rule: Rule) -> Iterator[Problem]:
    """Check a price break against the rule of its variant."""
    if quantity < rule.minimum:
        yield "Minimum is lower than the quantity rule minimum.", "MIN_LOWER_THAN_QUANTITY_RULES_MIN"
    if rule.maximum is not None and quantity > rule.maximum:
        yield "Minimum is higher than the quantity rule maximum.", "MIN_HIGHER_THAN_QUANTITY_RULES_MAX"
    if quantity % rule.increment:
        yield (
            "Minimum is not a multiple of the quantity rule increment.",
            "MIN_NOT_A_MULTIPLE_OF_QUANTITY_RULES_INCREMENT",
        )
