"""How staging says things in DuckDB: the ASCII half of normalization, exact money, PostgreSQL's literals. No I/O.

A value that SQL cannot treat by itself is *odd*: it is not ASCII, it holds U+0000, or it is too long for an index. Odd
values are treated in Python, each distinct one once.
"""

from collections.abc import Iterable
from typing import Final

from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import MAX_MINOR

MAX_KEY_CHARACTERS: Final = 255
"""Longest external id and SKU: both stand in an index, whose rows are bounded."""

MAX_AMOUNT_CHARACTERS: Final = 40

_MAX_DIGITS: Final = len(str(MAX_MINOR))
_DECIMAL: Final = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"

MACROS: Final = (
    # str.split() knows these 10 ASCII characters as white space: \t \n \v \f \r, \x1c to \x1f, space.
    # Few texts hold any but single spaces between words, and looking is five times as fast as replacing.
    r"""create or replace macro folded(t) as case when regexp_matches(t, '[\x09-\x0d\x1c-\x1f]|  |^ | $')
        then nullif(trim(regexp_replace(lower(t), '[\x09-\x0d\x1c-\x20]+', ' ', 'g')), '')
        else nullif(lower(t), '') end""",
    "create or replace macro is_odd(t) as strlen(t) <> length(t) or contains(t, chr(0))",
    f"create or replace macro is_odd_key(t) as is_odd(t) or length(t) > {MAX_KEY_CHARACTERS}",
    # A list of texts as an array literal of PostgreSQL; nulls are left out.
    r"""create or replace macro array_literal(l) as '{' || array_to_string(list_transform(l, lambda t:
        '"' || replace(replace(t, '\', '\\'), '"', '\"') || '"'), ',') || '}'""",
    # The attributes as a JSON object, as given and in normal form, for those that are texts; nulls are left out.
    """create or replace macro attributes_json(l) as '{' || array_to_string(list_transform(l, lambda a:
        to_json(a.name)::varchar || ':' || to_json(a.text_value)::varchar), ',') || '}'""",
    """create or replace macro folded_json(l) as '{' || array_to_string(list_transform(l, lambda a:
        to_json(a.name)::varchar || ':' || to_json(folded(a.text_value))::varchar), ',') || '}'""",
    # The same with numbers, for Python's eyes. Names repeat as they were given.
    """create or replace macro attributes_key(l) as '{' || array_to_string(list_transform(l, lambda a:
        to_json(a.name)::varchar || ':' || coalesce(to_json(a.text_value)::varchar, a.number_value, 'null')), ',')
        || '}'""",
    # What stands in the second object counts more: of names that repeat, jsonb keeps the last.
    """create or replace macro merged_json(a, b) as case when a = '{}' then b when b = '{}' then a
        else left(a, length(a) - 1) || ',' || substr(b, 2) end""",
    """create or replace macro has_odd_attribute(l) as len(list_filter(l, lambda a:
        a.text_value is null or is_odd(a.text_value) or contains(a.name, chr(0)))) > 0""",
)


def usable_key(column: str) -> str:
    """Whether the column can be an external id."""
    return f"({column} <> '' and not contains({column}, chr(0)) and length({column}) <= {MAX_KEY_CHARACTERS})"


def minor(amount: str, currency: str) -> str:
    """The amount in minor units of a fixed currency; null where it is refused. No floating point takes part."""
    return _minor(amount, MINOR_UNITS[currency])


def minor_by_currency(amount: str, currency: str, likely: str) -> str:
    """The same where the currency is a column; null where it is no currency.

    `likely` is tested first, since the list of codes is long.
    """
    branches = " ".join(f"when {_is_one_of(currency, places)} then {_minor(amount, places)}" for places in _places())
    return f"case when {currency} = '{likely}' then {minor(amount, likely)} {branches} end"


def known_currency(currency: str) -> str:
    """Whether the column holds an active ISO 4217 code."""
    return f"coalesce({currency} in ({_quoted(MINOR_UNITS)}), false)"


def fingerprint(*columns: str) -> str:
    """A digest of texts. None of them holds U+0000, which therefore ends each; U+0001 alone stands for null."""
    return f"md5(concat_ws(chr(0), {', '.join(f'coalesce({column}, chr(1))' for column in columns)}))"


def amount_rule(amount: str, currency: str) -> str:
    """The rule that a refused amount breaks, as a sentence. `currency` is a column or a literal."""
    places = " ".join(f"when {_is_one_of(currency, each)} then {each}" for each in _places())
    fraction = f"length(rtrim(split_part({amount}, '.', 2), '0'))"
    return f"""case
        when length({amount}) > {MAX_AMOUNT_CHARACTERS} then 'must have at most {MAX_AMOUNT_CHARACTERS} characters'
        when not regexp_full_match({amount}, '{_DECIMAL}') then 'must be a decimal number such as 12.99'
        when starts_with({amount}, '-') then 'must not be negative'
        when {currency} is null then 'needs a currency'
        when not {known_currency(currency)} then 'needs an active ISO 4217 currency, which ' || {currency} || ' is not'
        when {fraction} > case {places} end
          then 'must have at most ' || (case {places} end) || ' decimals in ' || {currency}
        else 'must be at most {MAX_MINOR} minor units' end"""


def _minor(amount: str, places: int) -> str:
    """Zeros beyond the decimals of the currency are harmless; any other digit there is refused.

    The whole part is cut at the digits of `MAX_MINOR`, so that no decimal overflows before the comparison.
    """
    whole = f"(0|[1-9][0-9]{{0,{_MAX_DIGITS - 1 - places}}})"
    fraction = rf"(\.[0-9]{{1,{places}}}0*)?" if places else r"(\.0+)?"
    well_formed = f"regexp_full_match({amount}, '{whole}{fraction}') and length({amount}) <= {MAX_AMOUNT_CHARACTERS}"
    exact = f"try_cast(try_cast({amount} as decimal(18, {places})) * {10**places} as bigint)"
    return f"case when {well_formed} and {exact} <= {MAX_MINOR} then {exact} end"


def _places() -> list[int]:
    return sorted(set(MINOR_UNITS.values()), key=lambda places: (places != 2, places))  # noqa: PLR2004 - most have two


def _is_one_of(currency: str, places: int) -> str:
    return f"{currency} in ({_quoted(code for code, decimals in MINOR_UNITS.items() if decimals == places)})"


def _quoted(codes: Iterable[str]) -> str:
    return ", ".join(f"'{code}'" for code in codes)
