"""Attributes as the rule language sees them."""

from calibr.core.attributes import normalize_attributes
from calibr.core.written_json import load_written


def test_texts_are_normalized_and_only_exact_numbers_count() -> None:
    raw = load_written(
        '{"Color": " Navy  Blue", "empty": " ", "weight": 250.0, "long": 1234567890123456, "huge": 1e400,'
        ' "organic": true, "sizes": ["S"], "dims": {"w": 1}, "none": null}'
    )
    assert isinstance(raw, dict)

    kept, refused = normalize_attributes(raw)

    assert {name: getattr(value, "text", value) for name, value in kept.items()} == {
        "Color": "navy blue",
        "weight": "250.0",
    }
    assert refused == {}


def test_what_cannot_be_stored_is_refused_by_name() -> None:
    raw = load_written('{"a": "x\\u0000y", "b": "\\ud800", "c\\u0000": 1, "d": "fine"}')
    assert isinstance(raw, dict)

    kept, refused = normalize_attributes(raw)

    assert kept == {"d": "fine"}
    assert refused.keys() == {"a", "b", "c\0"}
