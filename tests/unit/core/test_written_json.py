"""JSON whose numbers keep the form they were written in."""

import json

import pytest

from calibr.core.written_json import JsonNumber, JsonRefused, load_written


def test_numbers_keep_their_form() -> None:
    parsed = load_written(b'{"a": [1, 1.0, 1e0, -0, 0.10], "b": true, "c": null, "d": "1"}')

    assert parsed == {"a": [JsonNumber(t) for t in ("1", "1.0", "1e0", "-0", "0.10")], "b": True, "c": None, "d": "1"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"01",
        b"[1.]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'\xef\xbb\xbf"a"',
        b'{"a": 1, "b": 2, "a": 1}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"not":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_what_is_not_json_or_cannot_be_trusted_is_refused(data: bytes) -> None:
    with pytest.raises(JsonRefused):
        load_written(data)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("0", 1),
        ("0.000", 1),
        ("-0.001", 1),
        ("100.50", 5),
        ("1e300", 1),
        ("1000000000000000", 16),
        ("123456789012345", 15),
        ("0.30000000000000004", 17),
        ("00", None),
        ("+1", None),
        (".5", None),
    ],
)
def test_significant_digits_count_as_written(text: str, digits: int | None) -> None:
    if digits is None:
        with pytest.raises(ValueError, match="is not a JSON number"):
            JsonNumber(text)
    else:
        assert JsonNumber(text).significant_digits == digits


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1e-310", "1e-400", "1e999999999999999999999", "2e308"])
def test_numbers_beyond_binary64_are_not_interoperable(text: str) -> None:
    assert not JsonNumber(text).is_interoperable


@pytest.mark.parametrize("text", ["0", "0e999", "-0.0", "1e308", "1e-307", "123456789012345"])
def test_numbers_within_binary64_are_interoperable(text: str) -> None:
    assert JsonNumber(text).is_interoperable


def test_only_a_plain_integer_is_an_integer_literal() -> None:
    forms = {text: JsonNumber(text).is_integer_literal for text in ("30", "-30", "30.0", "3e1", "0")}

    assert forms == {"30": True, "-30": True, "30.0": False, "3e1": False, "0": True}


def test_it_reads_what_json_reads() -> None:
    value = {"ä": ["\U0001f600", "\n", {}], "": [[]]}

    assert load_written(json.dumps(value)) == value
