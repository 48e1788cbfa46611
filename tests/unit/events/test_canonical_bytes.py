"""The bytes of an event are canonical JSON, judged by another implementation of RFC 8785."""

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.canonical import canonical_json
from calibr.events.model import JsonValue, canonical_bytes

KEYS = st.text(st.characters(codec="ascii"), max_size=12)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
DOCUMENTS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
)


@given(DOCUMENTS)
def test_the_bytes_are_those_of_rfc_8785(document: dict[str, JsonValue]) -> None:
    assert canonical_bytes(document) == rfc8785.dumps(document) == canonical_json(document)
