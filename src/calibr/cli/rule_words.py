"""A rule in words: one line per part, for people who do not read JSON. Unknown parts are shown as they are written."""

import json
from collections.abc import Mapping
from typing import Final

FIELDS: Final = {
    "product.sku": "the SKU",
    "product.title": "the title",
    "product.vendor": "the vendor",
    "product.product_type": "the product type",
    "product.status": "the status",
    "product.tags": "the tags",
    "price.unit_amount": "the price",
    "price.compare_at": "the compare-at price",
    "price.currency": "the currency",
    "price.age_days": "the age of the price in days",
    "price_list.name": "the price list",
    "listing.connection": "the connection",
    "cost.unit_cost": "the cost",
    "margin.percent": "the margin in percent",
}
OPERATORS: Final = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "starts_with": "starts with",
    "lt": "is below",
    "lte": "is at most",
    "gt": "is above",
    "gte": "is at least",
    "between": "is between",
    "is_null": "is missing",
    "not_null": "is known",
    "has_any": "include",
    "has_all": "include all of",
    "has_none": "include none of",
}
MODES: Final = {"nearest": "nearest", "up": "next higher", "down": "next lower"}
COMPARE_AT: Final = {"keep": "stays as it is", "clear": "is cleared"}
SET_COMPARE_AT: Final = {
    "from_price": "becomes the old price where the price falls",
    "highest": "becomes the highest price so far where the price falls",
}
OTHERWISE: Final = {
    "keep": "else stays",
    "clear": "else is cleared",
    "clear_if_not_above": "else stays only while it is above the price",
}


def rule_lines(rule: Mapping[str, object]) -> list[tuple[str, str]]:
    """Pairs of a heading and a sentence: who, what, and within which limits."""
    lines = [("products", selector_words(rule.get("selector")))]
    lines += transform_lines(rule.get("transform"))
    guardrails = rule.get("guardrails")
    for guardrail in guardrails if isinstance(guardrails, list) else []:
        lines.append(("guardrail", guardrail_words(guardrail)))
    return lines


def selector_words(node: object) -> str:  # noqa: PLR0911 - one return per form of a node
    """The condition as a sentence."""
    match node:
        case {"all": []}:
            return "everything"
        case {"any": []}:
            return "nothing"
        case {"all": [*parts]}:
            return " and ".join(_nested(part) for part in parts)
        case {"any": [*parts]}:
            return " or ".join(_nested(part) for part in parts)
        case {"not": inner}:
            return f"not {_nested(inner)}"
        case {"skus": [*skus]}:
            return f"the SKU is one of {len(skus):,} listed" if len(skus) > 3 else f"the SKU is {_list(skus, 'or')}"  # noqa: PLR2004 - reads well up to three
        case {"field": str(field), "op": str(op), **rest}:
            return _leaf(field, op, rest.get("value"))
        case _:
            return _as_written(node)


def transform_lines(transform: object) -> list[tuple[str, str]]:
    """The steps and the compare-at price, by case where there are cases."""
    match transform:
        case {"cases": [*cases], **rest}:
            lines = []
            for case in cases:
                when = case.get("when") if isinstance(case, dict) else None
                lines.append(("where", selector_words(when)))
                lines += _branch_lines(case)
            otherwise = rest.get("otherwise", "leave")
            lines.append(("else", "the price stays out of the plan" if otherwise == "leave" else "as follows"))
            return lines + ([] if otherwise == "leave" else _branch_lines(otherwise))
        case _:
            return _branch_lines(transform)


def guardrail_words(guardrail: object) -> str:
    """The limit as a sentence, with what happens beyond it and where a cost is missing."""
    match guardrail:
        case {"rule": str(rule), **rest}:
            pass
        case _:
            return _as_written(guardrail)
    percent = rest.get("percent")
    limit = {
        "floor": f"never below {amount_words(rest.get('amount'))}",
        "ceiling": f"never above {amount_words(rest.get('amount'))}",
        "not_below_cost": "never below cost",
        "min_margin": f"a margin of at least {percent} %",
        "min_markup": f"at least {percent} % above cost",
        "max_increase": f"no rise of more than {percent} %",
        "max_decrease": f"no fall of more than {percent} %",
        "compare_at_above_price": "the compare-at price must stay above the price",
    }.get(rule, _as_written(guardrail))
    needs_cost = rule in {"not_below_cost", "min_margin", "min_markup"}
    missing = "; skipped where the cost is unknown" if rest.get("if_missing") == "skip" else "; blocks without a cost"
    blocks = "; beyond it the item is blocked" if rest.get("action") == "block" else ""
    return limit + blocks + (missing if needs_cost else "")


def step_words(step: object) -> str:  # noqa: PLR0911 - one return per step
    """One step as an order."""
    match step:
        case {"op": "percent", "by": str(by)}:
            return f"{_signed(by)} %"
        case {"op": "amount", "by": by}:
            return _signed(amount_words(by))
        case {"op": "set", "to": to}:
            return f"set to {amount_words(to)}"
        case {"op": "from_cost", "markup": markup}:
            return f"cost plus {markup} %"
        case {"op": "from_cost", "margin": margin}:
            return f"from cost, at a margin of {margin} %"
        case {"op": "from_compare_at", "by": str(by)}:
            return f"compare-at {_signed(by)} %"
        case {"op": "clamp", **rest}:
            return " and ".join(
                f"{word} {amount_words(rest[key])}"
                for key, word in (("min", "at least"), ("max", "at most"))
                if key in rest
            )
        case {"op": "round", "to": to, **rest}:
            return f"to the {MODES.get(str(rest.get('mode', 'nearest')))} multiple of {amount_words(to)}"
        case {"op": "ending", "endings": [*endings], "per": per, **rest}:
            listed = _list([amount_words(e) for e in endings], "or")
            return (
                f"to the {MODES.get(str(rest.get('mode', 'nearest')))} price ending in {listed} per {amount_words(per)}"
            )
        case _:
            return _as_written(step)


def amount_words(amount: object) -> str:
    """`19.99`, or `19.99 USD` where the amount carries its currency."""
    match amount:
        case {"amount": str(value), "currency": str(currency)}:
            return f"{value} {currency}"
        case str():
            return amount
        case _:
            return _as_written(amount)


def _branch_lines(branch: object) -> list[tuple[str, str]]:
    match branch:
        case {"price": [*steps], **rest}:
            pass
        case _:
            return [("price", _as_written(branch))]
    words = ", then ".join(step_words(step) for step in steps) or "stays as it is"
    lines = [("price", words), ("compare-at", _compare_at_words(rest.get("compare_at", "keep")))]
    return lines + ([("zero", "a price of 0 is allowed")] if rest.get("allow_zero") is True else [])


def _compare_at_words(decision: object) -> str:
    match decision:
        case "keep" | "clear":
            return COMPARE_AT[decision]
        case {"set": "from_price" | "highest" as source, **rest}:
            otherwise = str(rest.get("otherwise", "clear_if_not_above"))
            return f"{SET_COMPARE_AT[source]}, {OTHERWISE.get(otherwise, otherwise)}"
        case {"set": value}:
            return f"becomes {amount_words(value)}"
        case {"percent_above": str(percent)}:
            return f"becomes the new price plus {percent} %"
        case _:
            return _as_written(decision)


def _leaf(field: str, op: str, value: object) -> str:
    name = FIELDS.get(field) or f"the attribute {field.removeprefix('product.attributes.')!r}"
    operator = OPERATORS.get(op, op)
    if op in {"is_null", "not_null"}:
        return f"{name} {operator}"
    if op == "between" and isinstance(value, list):
        return f"{name} {operator} {_list([amount_words(v) for v in value], 'and')}"
    if isinstance(value, list):
        return f"{name} {operator} {_list([_quoted(v) for v in value], 'or')}"
    return f"{name} {operator} {_quoted(value)}"


def _nested(node: object) -> str:
    words = selector_words(node)
    return f"({words})" if isinstance(node, dict) and ({"all", "any"} & set(node)) and " " in words else words


def _list(words: list[str], conjunction: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else amount_words(value)


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _as_written(part: object) -> str:
    return json.dumps(part, ensure_ascii=False, default=lambda number: number.text)
