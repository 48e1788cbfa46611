import pickle
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.errors import Invalid, Unavailable
from calibr.core.ids import ConnectionId, TenantId
from calibr.vault import SecretPlace, Vault

VAULT = Vault(b"k" * 32)
PLACE = SecretPlace(TenantId(uuid4()), ConnectionId(uuid4()), "access_token")
CANARY = "canary-secret-4711"
texts = st.text(max_size=400)


@given(texts)
def test_opening_gives_what_was_sealed(value: str) -> None:
    if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        return
    assert VAULT.open(PLACE, VAULT.seal(PLACE, value)).reveal() == value


def test_sealing_twice_gives_two_texts_of_the_documented_form() -> None:
    first, second = VAULT.seal(PLACE, CANARY), VAULT.seal(PLACE, CANARY)

    assert first != second
    assert first.split(".")[:2] == ["v1", VAULT.key_id]
    assert CANARY not in first


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, tenant_id=TenantId(UUID(int=1))),
        replace(PLACE, owner_id=ConnectionId(UUID(int=1))),
        replace(PLACE, field="refresh_token"),
    ],
)
def test_a_secret_does_not_open_in_another_place(other: SecretPlace) -> None:
    sealed = VAULT.seal(PLACE, CANARY)

    with pytest.raises(Unavailable) as refused:
        VAULT.open(other, sealed)

    assert refused.value.code == "vault.damaged"
    assert CANARY not in str(refused.value)


@given(st.data())
def test_any_changed_character_is_noticed(data: st.DataObject) -> None:
    sealed = VAULT.seal(PLACE, CANARY)
    position = data.draw(st.integers(0, len(sealed) - 1))
    character = data.draw(st.characters(max_codepoint=0x2FFF).filter(lambda c: c != sealed[position]))
    changed = sealed[:position] + character + sealed[position + 1 :]

    with pytest.raises(Unavailable) as refused:
        VAULT.open(PLACE, changed)

    assert refused.value.code in {"vault.damaged", "vault.other_key"}


def test_a_second_spelling_of_the_same_bytes_is_refused() -> None:
    sealed = VAULT.seal(PLACE, "12 34 56 78 90 ab.")
    assert sealed.endswith("==")
    before_padding = sealed[-3]
    respelled = sealed[:-3] + ("B" if before_padding == "A" else chr(ord(before_padding) + 1)) + "=="

    with pytest.raises(Unavailable):
        VAULT.open(PLACE, respelled)


@given(st.text(max_size=80))
def test_any_other_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(Unavailable):
        VAULT.open(PLACE, text)


@given(st.integers(min_value=0, max_value=60))
def test_a_shortened_text_is_refused(kept: int) -> None:
    with pytest.raises(Unavailable):
        VAULT.open(PLACE, VAULT.seal(PLACE, CANARY)[:kept])


def test_another_master_key_is_named_as_the_cause() -> None:
    sealed = Vault(b"x" * 32).seal(PLACE, CANARY)

    with pytest.raises(Unavailable, match="sealed under master key") as refused:
        VAULT.open(PLACE, sealed)

    assert refused.value.code == "vault.other_key"


@pytest.mark.parametrize("field", ["", "Access", "a|b", "a.b", "x" * 64, "ä"])
def test_a_field_name_that_could_blur_the_binding_is_refused(field: str) -> None:
    with pytest.raises(Invalid, match="not the name of a secret"):
        SecretPlace(PLACE.tenant_id, PLACE.owner_id, field)


def test_the_vault_does_not_show_its_key() -> None:
    assert "k" * 8 not in repr(VAULT)
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(VAULT, protocol=0)


def test_tenants_have_keys_of_their_own() -> None:
    other = TenantId(uuid4())

    assert VAULT._cipher(PLACE.tenant_id) is not VAULT._cipher(PLACE.tenant_id)
    nonce = b"n" * 12
    assert VAULT._cipher(PLACE.tenant_id).encrypt(nonce, b"x", b"") != VAULT._cipher(other).encrypt(nonce, b"x", b"")


def test_a_signature_is_of_one_text_for_one_purpose_under_one_key() -> None:
    signature = VAULT.sign("consent-state", "a.b")

    assert VAULT.sign("consent-state", "a.b") == signature
    others = {
        VAULT.sign("consent-state", "a.c"),
        VAULT.sign("other", "a.b"),
        Vault(b"j" * 32).sign("consent-state", "a.b"),
    }
    assert len(signature) == 64
    assert len(others - {signature}) == 3
