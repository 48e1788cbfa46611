"""The closed lists of words that plans, traces and seals are written in."""

from enum import StrEnum


class Verdict(StrEnum):
    """What became of an item."""

    BLOCKED = "blocked"
    UNCHANGED = "unchanged"
    CLAMPED = "clamped"
    CHANGED = "changed"


class Direction(StrEnum):
    """Where the price went, compared with the price in force."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class Reason(StrEnum):
    """Why an item is blocked. The order is part of nothing that is stored."""

    MISSING_PRICE = "missing_price"
    MISSING_COST = "missing_cost"
    MISSING_COMPARE_AT = "missing_compare_at"
    NEGATIVE_PRICE = "negative_price"
    ZERO_PRICE = "zero_price"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    AMOUNT_PRECISION = "amount_precision"
    CURRENCY_MISMATCH = "currency_mismatch"
    GUARDRAIL = "guardrail"
    INFEASIBLE = "infeasible"


class Action(StrEnum):
    """What a guardrail does to a price that breaks it."""

    CLAMP = "clamp"
    BLOCK = "block"


class IfMissing(StrEnum):
    """What happens where the input that a step or a guardrail needs is null."""

    BLOCK = "block"
    SKIP = "skip"


class Mode(StrEnum):
    """Which way a price is rounded; ties of `nearest` go to the larger amount."""

    NEAREST = "nearest"
    UP = "up"
    DOWN = "down"


class GuardrailResult(StrEnum):
    """What happened to a guardrail; where several things did, the last of them in this order."""

    NOT_REACHED = "not_reached"
    PASS = "pass"  # noqa: S105 - a result, not a password
    SKIPPED = "skipped"
    CLAMPED = "clamped"
    BLOCKED = "blocked"


class Why(StrEnum):
    """Where the compare-at after the change comes from."""

    KEEP = "keep"
    CLEAR = "clear"
    SET = "set"
    FROM_PRICE = "from_price"
    HIGHEST = "highest"
    OTHERWISE_KEEP = "otherwise_keep"
    OTHERWISE_CLEAR = "otherwise_clear"
    PERCENT_ABOVE = "percent_above"
    CLEARED_BY_GUARDRAIL = "cleared_by_guardrail"
