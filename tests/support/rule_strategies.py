"""Random rules and items for tests of the two back ends: every field, operator, step, decision and guardrail."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from calibr.core.canonical import canonical_json
from calibr.core.money import MAX_MINOR, format_minor
from calibr.core.written_json import Json, JsonNumber
from calibr.pricing import BoundRules, Inputs, Item, parse_rules

CURRENCIES = ("JPY", "USD", "KWD", "CLF")
PLACES = {"JPY": 0, "USD": 2, "KWD": 3, "CLF": 4}
WORDS = ("acme", "globex", "blue shirt", "straße", "sale", "new in", "été", "10", "a-1", "b 3")
NUMBERS = ("0", "1", "250", "250.0", "2.5e2", "-3", "0.1", "114.5", "123456789012345", "1e300", "1e-300")
LISTS = ("retail", "wholesale")
STORES = ("shop-1", "shop-2")

Document = dict[str, Any]

edges = st.sampled_from((0, 1, 2, 5, 49, 50, 99, 100, 101, 199, 995, 999, 1000, 1005, 1999, 2000, 2850, MAX_MINOR))
minors = st.one_of(edges, st.integers(0, 5_000), st.integers(0, MAX_MINOR))


@dataclass(frozen=True)
class RandomRules:
    """A currency and three documents that are valid for it."""

    currency: str
    documents: tuple[Document, Document, list[Document]]

    def bind(self) -> BoundRules:
        """The rules for price lists of the currency."""
        return parse_rules(*map(document, self.documents)).bind(self.currency)

    def __repr__(self) -> str:
        return f"{self.currency} {canonical_json(self.documents).decode()}"


def document(value: object) -> Json:
    """A document as it would arrive: whole numbers in their written form."""
    if isinstance(value, dict):
        return {name: document(member) for name, member in value.items()}
    if isinstance(value, list):
        return [document(entry) for entry in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return JsonNumber(str(value))
    return value  # type: ignore[no-any-return]


@cache
def amounts(currency: str, *, signed: bool = False, misfits: bool = False) -> SearchStrategy[Any]:
    """Amounts as documents write them: alone, with their currency, or with another one; too precise if `misfits`."""
    plain = minors.map(lambda minor: format_minor(minor, currency))
    if signed:
        plain = st.one_of(plain, plain.map(lambda text: f"-{text}"))
    kinds = [plain, plain, plain.map(lambda text: {"amount": text, "currency": currency})]
    if misfits:
        kinds.append(st.sampled_from(({"amount": "5", "currency": "EUR"}, "5.00001", "99999999999999")))
    return st.one_of(*kinds)


@cache
def percents(low: int, high: int) -> SearchStrategy[str]:
    """Percents from `low` to `high` ten-thousandths of a percent, with ends and round values more often."""
    near = st.sampled_from(
        [p for p in (-999_999, -500_000, -100_000, 0, 1, 50_000, 100_000, 999_999) if low <= p <= high]
    )
    return st.one_of(near, st.integers(max(low, -(10**6)), min(high, 2 * 10**6)), st.integers(low, high)).map(
        percent_text
    )


def percent_text(scaled: int) -> str:
    """Write ten-thousandths of a percent as a percent."""
    whole, rest = divmod(abs(scaled), 10_000)
    return ("-" if scaled < 0 else "") + (f"{whole}.{rest:04d}".rstrip("0").rstrip("."))


@cache
def selectors(currency: str, *, max_leaves: int = 5) -> SearchStrategy[Document]:
    """Selectors over all fields."""
    return st.recursive(
        _leaves(currency),
        lambda nodes: st.one_of(
            st.lists(nodes, max_size=3).map(lambda found: {"all": found}),
            st.lists(nodes, max_size=3).map(lambda found: {"any": found}),
            nodes.map(lambda found: {"not": found}),
        ),
        max_leaves=max_leaves,
    )


def _leaf(
    field: SearchStrategy[str], operators: tuple[str, ...], value: SearchStrategy[Any]
) -> SearchStrategy[Document]:
    return st.fixed_dictionaries({"field": field, "op": st.sampled_from(operators), "value": value})


@cache
def _leaves(currency: str) -> SearchStrategy[Document]:
    text_fields = st.sampled_from([f"product.{n}" for n in ("sku", "title", "vendor", "product_type", "status")])
    context = st.sampled_from(("price.currency", "price_list.name", "listing.connection"))
    attribute = st.sampled_from([f"product.attributes.{n}" for n in ("weight", "color", "option.Size", "a'b")])
    money = st.sampled_from(("price.unit_amount", "price.compare_at", "cost.unit_cost"))
    word = st.sampled_from((*WORDS, *LISTS, *STORES, currency))
    words = st.one_of(st.lists(word, min_size=1, max_size=4), st.just([*WORDS, *(f"w{n}" for n in range(30))]))
    number = st.sampled_from(NUMBERS).map(JsonNumber)
    nullable = st.one_of(text_fields, attribute, money, st.sampled_from(("product.tags", "margin.percent")))
    age = st.sampled_from((0, 1, 29, 30, 31, 365, 10**7))
    return st.one_of(
        st.fixed_dictionaries({"field": nullable, "op": st.sampled_from(("is_null", "not_null"))}),
        _leaf(st.one_of(text_fields, attribute), ("eq", "ne", "contains", "starts_with"), word),
        _leaf(st.one_of(text_fields, attribute, context), ("in", "not_in"), words),
        _leaf(context, ("eq", "ne"), word),
        _leaf(st.just("product.tags"), ("has_any", "has_all", "has_none"), words),
        _leaf(attribute, ("eq", "ne", "lt", "lte", "gt", "gte"), number),
        _leaf(attribute, ("in", "not_in"), st.lists(number, min_size=1, max_size=4)),
        _leaf(attribute, ("between",), _pairs(number, lambda n: n.decimal)),
        _leaf(money, ("eq", "ne", "lt", "lte", "gt", "gte"), amounts(currency, signed=True)),
        _leaf(money, ("lt", "gte"), st.just({"amount": "5", "currency": "EUR"})),
        _leaf(money, ("between",), _pairs(minors, int).map(lambda pair: [format_minor(m, currency) for m in pair])),
        _leaf(st.just("price.age_days"), ("lt", "lte", "gt", "gte"), age),
        _leaf(st.just("price.age_days"), ("between",), _pairs(age, int)),
        _leaf(st.just("margin.percent"), ("lt", "lte", "gt", "gte"), percents(-(10**10), 10**10)),
        st.fixed_dictionaries({"skus": words}),
    )


def _pairs(values: SearchStrategy[Any], key: Callable[[Any], Any]) -> SearchStrategy[list[Any]]:
    return st.tuples(values, values).map(lambda pair: sorted(pair, key=key))


@cache
def steps(currency: str) -> SearchStrategy[Document]:
    """Steps that may stand anywhere."""
    above_minus_100 = percents(-999_999, 10**10)
    if_missing = {"if_missing": st.sampled_from(("block", "skip"))}
    amount = amounts(currency, misfits=True)
    clamp = _pairs(minors, int).map(lambda pair: [format_minor(minor, currency) for minor in pair])
    return st.one_of(
        st.fixed_dictionaries({"op": st.just("percent"), "by": above_minus_100}),
        st.fixed_dictionaries({"op": st.just("percent"), "by": percents(-500_000, 500_000)}),
        st.fixed_dictionaries({"op": st.just("amount"), "by": amounts(currency, signed=True, misfits=True)}),
        st.fixed_dictionaries({"op": st.just("set"), "to": amount}),
        st.fixed_dictionaries({"op": st.just("from_cost"), "markup": above_minus_100}, optional=if_missing),
        st.fixed_dictionaries(
            {"op": st.just("from_cost"), "margin": percents(-(10**10), 999_999)}, optional=if_missing
        ),
        st.fixed_dictionaries({"op": st.just("from_compare_at"), "by": above_minus_100}, optional=if_missing),
        clamp.map(lambda pair: {"op": "clamp", "min": pair[0], "max": pair[1]}),
        st.fixed_dictionaries({"op": st.just("clamp"), "min": amount}),
        st.fixed_dictionaries({"op": st.just("clamp"), "max": amount}),
    )


@cache
def roundings(currency: str) -> SearchStrategy[Document]:
    """`round` and `ending`."""
    mode = {"mode": st.sampled_from(("nearest", "up", "down"))}
    unit = st.one_of(st.sampled_from((1, 2, 3, 5, 7, 10, 25, 100, 999)), st.integers(1, MAX_MINOR))

    def endings(per: int) -> SearchStrategy[Document]:
        below = st.integers(0, per - 1).map(lambda minor: format_minor(minor, currency))
        listed = st.lists(st.one_of(below, st.just(format_minor(per - 1, currency))), min_size=1, max_size=5)
        head = {"op": st.just("ending"), "endings": listed, "per": st.just(format_minor(per, currency))}
        return st.fixed_dictionaries(head, optional=mode)

    to = unit.map(lambda minor: format_minor(minor, currency))
    return st.one_of(
        st.fixed_dictionaries({"op": st.just("round"), "to": to}, optional=mode),
        unit.flatmap(endings),
        unit.flatmap(endings),
    )


@cache
def branches(currency: str) -> SearchStrategy[Document]:
    """Branches of up to four steps and a rounding."""
    listed = st.tuples(st.lists(steps(currency), max_size=4), st.lists(roundings(currency), max_size=1))
    otherwise = {"otherwise": st.sampled_from(("keep", "clear", "clear_if_not_above"))}
    compare_at = st.one_of(
        st.sampled_from(("keep", "clear")),
        st.fixed_dictionaries({"set": amounts(currency, misfits=True)}),
        st.fixed_dictionaries({"set": st.sampled_from(("from_price", "highest"))}, optional=otherwise),
        st.fixed_dictionaries({"percent_above": percents(1, 10**10)}),
    )
    return st.fixed_dictionaries(
        {"price": listed.map(lambda parts: parts[0] + parts[1])},
        optional={"compare_at": compare_at, "allow_zero": st.booleans()},
    )


@cache
def transforms(currency: str) -> SearchStrategy[Document]:
    """Single branches, and cases with and without `otherwise`."""
    case = st.tuples(selectors(currency, max_leaves=2), branches(currency)).map(
        lambda pair: {"when": pair[0], **pair[1]}
    )
    otherwise = {"otherwise": st.one_of(st.just("leave"), branches(currency))}
    cases = st.fixed_dictionaries({"cases": st.lists(case, min_size=1, max_size=4)}, optional=otherwise)
    return st.one_of(branches(currency), branches(currency), cases)


@cache
def guardrails(currency: str) -> SearchStrategy[list[Document]]:
    """Lists of up to five guardrails, with at most one check."""
    rule = st.one_of(
        _rule("ceiling", amount=amounts(currency)),
        _rule("ceiling", amount=st.just({"amount": "5", "currency": "EUR"})),
        _rule("max_increase", percent=percents(0, 10**10)),
        _rule("floor", amount=amounts(currency)),
        _rule("not_below_cost"),
        _rule("min_margin", percent=percents(0, 999_999)),
        _rule("min_markup", percent=percents(-999_999, 10**10)),
        _rule("max_decrease", percent=percents(0, 1_000_000)),
    )
    listed = st.tuples(st.lists(rule, max_size=4), st.lists(_rule("compare_at_above_price"), max_size=1))
    return listed.map(lambda parts: parts[0] + parts[1]).flatmap(st.permutations).map(_with_ids)


def _rule(name: str, **parameter: SearchStrategy[Any]) -> SearchStrategy[Document]:
    optional = {"action": st.sampled_from(("clamp", "block")), "if_missing": st.sampled_from(("block", "skip"))}
    return st.fixed_dictionaries({"rule": st.just(name), **parameter}, optional=optional)


def _with_ids(rules: list[Document]) -> list[Document]:
    return [{"id": f"{rule['rule']}-{position}", **rule} for position, rule in enumerate(rules)]


@cache
def documents(currency: str) -> SearchStrategy[tuple[Document, Document, list[Document]]]:
    """The three documents of a rule."""
    everything = st.just({"all": []})
    return st.tuples(st.one_of(everything, selectors(currency)), transforms(currency), guardrails(currency))


def random_rules() -> SearchStrategy[RandomRules]:
    """Rules for all currencies."""
    return st.sampled_from(CURRENCIES).flatmap(
        lambda currency: documents(currency).map(lambda parts: RandomRules(currency, parts))
    )


inputs = st.builds(Inputs, *[st.one_of(st.none(), minors)] * 3)


def item_pool(size: int, seed: int = 7) -> list[Item]:
    """The same varied items in every run: nulls, zeros, ties and extremes in every field."""
    chance = random.Random(seed)  # noqa: S311 - test data, the same in every run
    return [_random_item(chance) for _ in range(size)]


def _random_item(chance: random.Random) -> Item:
    def amount() -> int | None:
        kind = chance.randrange(10)
        if kind < 2:
            return None
        if kind < 5:
            return chance.choice((0, 1, 2, 5, 10, 49, 50, 99, 100, 150, 199, 999, 1000, 1005, 2000, 2850))
        return (
            chance.randrange(5_000)
            if kind < 8
            else chance.choice((MAX_MINOR, MAX_MINOR - 1, chance.randrange(MAX_MINOR)))
        )

    price = amount()
    names = {name: chance.choice((None, *WORDS)) for name in ("sku", "title", "vendor", "product_type", "status")}
    values = (None, *WORDS[:5], *map(JsonNumber, NUMBERS))
    attributes = {name: chance.choice(values) for name in ("weight", "color", "option.Size", "a'b")}
    return Item(
        inputs=Inputs(price, amount(), amount()),
        currency="USD",
        **names,
        tags=frozenset(chance.sample(WORDS, chance.randrange(4))),
        attributes={name: value for name, value in attributes.items() if value is not None},
        price_list_name="retail",
        connection_name="shop-1",
        age_days=None if price is None else chance.choice((0, 1, 29, 30, 31, 365, 4000)),
    )
