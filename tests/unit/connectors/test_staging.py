"""What SQL does to a text or an amount is what Python says, so that staging may choose whichever is faster."""

import json
from itertools import product

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibr.connectors.port.odd_values import treat_attributes, treat_key, treat_tags, treat_text
from calibr.connectors.port.staging_sql import MACROS, MAX_KEY_CHARACTERS, amount_rule, minor, minor_by_currency
from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import AmountFault, Written, read_written, to_minor
from calibr.core.text import normalize

FEW = settings(max_examples=15)  # an example is a whole list, and a database of its own
CURRENCIES = ("JPY", "USD", "KWD", "CLF")


def ask(expressions: list[str], values: list[str]) -> list[list[object]]:
    """What DuckDB says for each value, by expression. Each call has its own connection: Hypothesis keeps its input."""
    query = (
        f"select {', '.join(expressions)} from (select unnest($1::varchar[]) as v, unnest(range($2)) as n) q order by n"
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        for macro in MACROS:
            connection.execute(macro)
        return list(map(list, zip(*connection.execute(query, [values, len(values)]).fetchall(), strict=True)))


def amount_by_python(text: str, currency: str) -> int | None:
    written = read_written(text) if len(text) <= 40 else None
    if written is None or written.is_negative:
        return None
    whole, _, fraction = text.partition(".")
    places = MINOR_UNITS[currency]
    kept = fraction[:places] + fraction[places:].rstrip("0")
    minor_units = to_minor(Written(f"{whole}.{kept}" if kept else whole), currency)
    return None if isinstance(minor_units, AmountFault) else minor_units


def test_ascii_texts_fold_in_sql_as_in_python() -> None:
    characters = [chr(code) for code in range(1, 128)]
    texts = [
        *characters,
        *map("".join, product(characters, repeat=2)),
        *(f"a{c}{d}B" for c in characters for d in characters),
    ]

    folded, is_odd = ask(["folded(v)", "is_odd(v)"], texts)

    assert folded == [normalize(text) for text in texts]
    assert not any(is_odd)


@FEW
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=20))
def test_every_other_text_is_left_to_python(texts: list[str]) -> None:
    odd, folded = ask(["is_odd(v)", "folded(v)"], texts)

    for text, is_odd, in_sql in zip(texts, odd, folded, strict=True):
        assert is_odd == (not text.isascii() or "\0" in text)
        assert is_odd or in_sql == normalize(text)


@FEW
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=5))
def test_array_literals_are_the_same_from_both_sides(texts: list[str]) -> None:
    as_json = json.dumps(texts)
    ((literal,),) = ask(["array_literal(v::json::varchar[])"], [as_json])

    assert literal == treat_tags(as_json).kept


amounts = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,6}0{0,4})?", fullmatch=True),
    st.from_regex(r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,3}0{0,40})?", fullmatch=True),
    st.sampled_from(
        ["", " 1", "1 ", "1\n", "01", "1.", ".5", "+1", "1e3", "1E400", "NaN", "inf", "1,5", "٣", "-0", "-0.00", "0x10",
         "10000000000.00", "10000000000.01", "1000000000000", "1000000000001", "999999999999.9", "1_000", "9" * 30]
    ),
    st.text(max_size=6).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)),
)  # fmt: skip


@FEW
@given(texts=st.lists(amounts, min_size=20, max_size=80))
@pytest.mark.parametrize("currency", CURRENCIES)
def test_amounts_are_read_as_python_reads_them(currency: str, texts: list[str]) -> None:
    expected = [amount_by_python(text, currency) for text in texts]

    ways = [minor("v", currency), *(minor_by_currency("v", f"'{currency}'", likely) for likely in ("USD", currency))]

    assert ask(ways, texts) == [expected] * 3


@pytest.mark.parametrize(
    ("text", "currency", "rule"),
    [
        ("abc", "USD", "must be a decimal number such as 12.99"),
        ("1e3", "USD", "must be a decimal number such as 12.99"),
        ("-1.00", "USD", "must not be negative"),
        ("1.005", "USD", "must have at most 2 decimals in USD"),
        ("1.5", "JPY", "must have at most 0 decimals in JPY"),
        ("10000000000.01", "USD", "must be at most 1000000000000 minor units"),
        ("1." + "0" * 39, "USD", "must have at most 40 characters"),
        ("1.00", "XYZ", "needs an active ISO 4217 currency, which XYZ is not"),
    ],
)
def test_a_refused_amount_names_its_rule(text: str, currency: str, rule: str) -> None:
    assert ask([amount_rule("v", f"'{currency}'")], [text]) == [[rule]]


def test_a_cost_without_a_currency_is_refused() -> None:
    read, rule = ask([minor_by_currency("v", "null::varchar", "USD"), amount_rule("v", "null::varchar")], ["1.00"])

    assert (read, rule) == ([None], ["needs a currency"])


def test_python_refuses_what_cannot_be_stored() -> None:
    assert treat_text("a\0b").kept is None
    assert [refusal.rule for refusal in treat_text("a\0b").refused] == ["it holds the character U+0000"]
    assert treat_tags('["Ok", "b\\u0000", " ", null]').normal == '{"ok"}'
    assert treat_tags('["Ok", "b\\u0000", " ", null]').kept == '{"Ok"," "}'


def test_a_key_is_bounded_in_both_forms() -> None:
    assert treat_key("É" * MAX_KEY_CHARACTERS).normal == "é" * MAX_KEY_CHARACTERS
    assert treat_key("x" * (MAX_KEY_CHARACTERS + 1)).refused
    assert treat_key("\u0390" * MAX_KEY_CHARACTERS).kept is not None
    assert treat_key("\U0001f600" * MAX_KEY_CHARACTERS).refused


def test_numbers_keep_the_form_in_which_they_were_written() -> None:
    treated = treat_attributes(
        '{"a": 1.50, "b": 1234567890123456, "c": 0.10000000000000001, "d": true, "e": null, "f": " ", "g": "É"}'
    )

    assert treated.kept == '{"a":1.50,"b":1234567890123456,"c":0.10000000000000001,"d":true,"e":null,"f":" ","g":"É"}'
    assert treated.normal == '{"a":1.50,"g":"é"}'


def test_attributes_that_cannot_be_stored_are_refused_by_name() -> None:
    treated = treat_attributes('{"a": "x\\u0000", "b\\u0000": "y", "c": 1e999999, "d": "z"}')

    assert treated.kept == treated.normal == '{"d":"z"}'
    assert [refusal.name for refusal in treated.refused] == ["a", "b\0", "c"]
