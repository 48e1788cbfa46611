"""The normal form of text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.text import TextRefused, normalize, unidata_version

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def by_definition(text: str) -> str | None:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()) or None


@given(storable)
def test_the_short_cut_for_ascii_changes_nothing(text: str) -> None:
    assert normalize(text) == by_definition(text)


@given(storable)
def test_what_is_normal_stays(text: str) -> None:
    once = normalize(text)

    assert once is None or normalize(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Blue \t Shirt\r\n", "blue shirt"),
        ("Straße", "strasse"),
        ("ΟΔΟΣ", "οδοσ"),
        ("\ufb01ne", "fine"),
        ("\uff21\uff23\uff2d\uff25", "\uff41\uff43\uff4d\uff45"),
        ("Cafe\u0301", "café"),
        ("\u01f0a", "\u01f0a"),
        ("Acme\u00a0Ltd", "acme ltd"),
        ("A\u001c\u001fB", "a b"),
        ("Ac\u200bme", "ac\u200bme"),
        ("\U00010400", "\U00010428"),
        (" \u2003\t", None),
        ("", None),
    ],
)
def test_examples(text: str, expected: str | None) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udfff", "é\ud83d"])
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(TextRefused):
        normalize(text)


def test_the_version_is_that_of_the_tables_in_use() -> None:
    assert unidata_version() == unicodedata.unidata_version
