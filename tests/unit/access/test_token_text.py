import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.access.token_text import TOKEN_PATTERN, TokenText
from calibr.core.ids import TenantId, TokenId
from calibr.monitor import scrub

SAMPLE = TokenText.new(TenantId(uuid4()), TokenId(uuid4()))


@given(st.uuids(), st.uuids())
def test_a_token_is_read_back_as_it_was_made(tenant: UUID, token: UUID) -> None:
    made = TokenText.new(TenantId(tenant), TokenId(token))

    read = TokenText.parse(made.reveal())

    assert read is not None
    assert (read.tenant_id, read.token_id, read.secret_hash()) == (tenant, token, made.secret_hash())


@pytest.mark.parametrize("extreme", [UUID(int=0), UUID(int=(1 << 128) - 1)])
def test_extreme_ids_fit(extreme: UUID) -> None:
    read = TokenText.parse(TokenText.new(TenantId(extreme), TokenId(extreme)).reveal())

    assert read is not None
    assert read.tenant_id == extreme


def test_two_tokens_of_one_id_have_different_secrets() -> None:
    ids = (TenantId(uuid4()), TokenId(uuid4()))

    assert TokenText.new(*ids).secret_hash() != TokenText.new(*ids).secret_hash()


@given(st.data())
def test_any_changed_character_breaks_the_token(data: st.DataObject) -> None:
    text = SAMPLE.reveal()
    position = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters().filter(lambda c: c != text[position]))

    assert TokenText.parse(text[:position] + character + text[position + 1 :]) is None


@given(st.text(max_size=130))
def test_other_texts_are_not_tokens(text: str) -> None:
    assert TokenText.parse(text) is None


@pytest.mark.parametrize("change", [str.lower, str.strip, lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1]])
def test_near_misses_are_not_tokens(change: "type[str]") -> None:
    text = SAMPLE.reveal()
    changed = change(text)

    assert changed == text or TokenText.parse(changed) is None


def test_scanners_and_our_own_redaction_find_it() -> None:
    text = SAMPLE.reveal()

    assert re.fullmatch(TOKEN_PATTERN, text)
    assert scrub(f"curl -H 'X: {text}'") == "curl -H 'X: ***'"


def test_it_does_not_show_its_secret() -> None:
    assert SAMPLE.secret.reveal() not in f"{SAMPLE} {SAMPLE!r}"
