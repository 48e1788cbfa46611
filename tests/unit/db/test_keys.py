"""What is derived from the master key."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.errors import Invalid
from calibr.db.keys import Keys, derive, padded

KEYS = st.binary(min_size=32, max_size=64)


@given(key=st.binary(max_size=64), message=st.binary(max_size=200))
def test_the_padded_keys_give_hmac_as_the_database_computes_it(key: bytes, message: bytes) -> None:
    ipad, opad = padded(key)

    computed = hashlib.sha256(opad + hashlib.sha256(ipad + message).digest()).digest()

    assert computed == hmac.digest(key, message, "sha256")


@given(one=KEYS, other=KEYS)
def test_every_purpose_and_every_master_key_has_its_own_secret(one: bytes, other: bytes) -> None:
    secrets = [
        *(Keys(master).role_password(role) for master in (one, other) for role in ("calibr_app", "calibr_worker")),
        *(Keys(master).context_key() for master in (one, other)),
        derive(one, "a"),
    ]

    assert len(set(secrets)) == (7 if one != other else 4)


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(Invalid, match="must have at least 32 bytes; this one has 31"):
        Keys(b"x" * 31)


def test_the_master_key_is_not_shown() -> None:
    assert "secret" not in repr(Keys(b"secret" * 6))
