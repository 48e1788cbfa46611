"""The one normal form of text. It is computed in Python only, so that every reader of it compares plain strings."""

import unicodedata


class TextRefused(ValueError):
    """The text holds U+0000 or a lone surrogate, which neither UTF-8 nor PostgreSQL can carry."""


def unidata_version() -> str:
    """Version of the Unicode tables that `normalize` uses; what was normalized with another one is recomputed."""
    return unicodedata.unidata_version


def refuse_unstorable(text: str) -> None:
    """Raise `TextRefused` if the text holds U+0000 or a lone surrogate."""
    if "\0" in text:
        raise TextRefused("it holds the character U+0000")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextRefused("it holds a lone surrogate") from error


def normalize(text: str) -> str | None:
    """Return the normal form: NFC, casefold, NFC, white space collapsed. None if nothing is left.

    Raises `TextRefused` for what cannot be stored. Idempotent.
    """
    refuse_unstorable(text)
    if text.isascii():  # the same result several times faster: ASCII is in NFC, and folds by lower()
        return " ".join(text.lower().split()) or None
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()) or None
