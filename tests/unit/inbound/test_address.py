"""The address of a connection's webhooks: found back by this installation, and by nobody else."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from calibr.core.ids import ConnectionId, TenantId
from calibr.inbound import HookAddress
from calibr.vault import Vault

VAULT = Vault(b"0123456789abcdef0123456789abcdef")
OTHER = Vault(b"fedcba9876543210fedcba9876543210")


@given(st.uuids(), st.uuids())
def test_it_leads_back_to_its_connection(tenant: UUID, connection: UUID) -> None:
    address = HookAddress(TenantId(tenant), ConnectionId(connection))

    assert HookAddress.parse(address.text(VAULT), VAULT) == address
    assert HookAddress.parse(address.text(VAULT), OTHER) is None
    assert address.text(VAULT) == address.text(VAULT)


@given(st.uuids(), st.uuids(), st.integers(0, 65), st.sampled_from("0aZz"))
def test_a_changed_character_leads_nowhere(tenant: UUID, connection: UUID, place: int, letter: str) -> None:
    text = HookAddress(TenantId(tenant), ConnectionId(connection)).text(VAULT)
    changed = text[:place] + letter + text[place + 1 :]

    assert changed == text or HookAddress.parse(changed, VAULT) is None


@given(st.text(max_size=80))
def test_any_other_text_leads_nowhere(text: str) -> None:
    assert HookAddress.parse(text, VAULT) is None
