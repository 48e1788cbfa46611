"""When to try again, and the secrets that sign. Pure but for the random bytes of a new secret."""

import base64
import binascii
import secrets
from typing import Final

from calibr.core.errors import Fault, Invalid

_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_WEBHOOK_WAITS_S: Final = (0, 5, 5 * _MINUTE_S, 30 * _MINUTE_S, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 10 * _HOUR_S)

WEBHOOK_ATTEMPTS: Final = len(_WEBHOOK_WAITS_S)
"""How often one message is sent before it is given up, 27 h 35 min 5 s after the first time."""

_JITTER: Final = 0.1
_PROJECTION_BASE_S: Final = 0.1
_PROJECTION_CAP_S: Final = 5.0
_PROJECTION_DOUBLINGS: Final = 6  # the cap is reached by then; an endless count must not overflow a float

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret begins
_SECRET_BYTES: Final = 32
_SECRET_MIN_BYTES: Final = 24
_SECRET_MAX_BYTES: Final = 64


def webhook_delay_s(attempt: int, chance: float = 0.0) -> float | None:
    """Seconds to wait before an attempt, counted from the end of the one before it; None when there is no further one.

    Args:
        attempt: the attempt to come; 1 is the first and comes at once.
        chance: a random number from 0 to 1. It lengthens the wait by up to a tenth, so that messages that failed
            together do not come back together; the wait is never shortened.

    Raises:
        ValueError: for an attempt below 1 or a chance outside of 0 to 1.
    """
    _check(attempt, chance)
    if attempt > WEBHOOK_ATTEMPTS:
        return None
    return _WEBHOOK_WAITS_S[attempt - 1] * (1 + _JITTER * chance)


def projection_delay_s(attempt: int, chance: float) -> float:
    """Seconds to wait before an attempt of our own code, which is tried for ever (full jitter, at most 5 s).

    Args:
        attempt: the attempt to come, counted from 1, the first repetition being 2.
        chance: a random number from 0 to 1.

    Raises:
        ValueError: for an attempt below 1 or a chance outside of 0 to 1.
    """
    _check(attempt, chance)
    grown = _PROJECTION_BASE_S * float(2 ** min(attempt, _PROJECTION_DOUBLINGS))
    return min(_PROJECTION_CAP_S, grown) * chance


def new_secret() -> str:
    """Make a signing secret in the form of Standard Webhooks: `whsec_` and 32 random bytes in base64."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def check_secret(secret: str) -> None:
    """Raise `Invalid` unless this is a signing secret of Standard Webhooks. The secret is never repeated."""
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET_PREFIX) or not _SECRET_MIN_BYTES <= len(key) <= _SECRET_MAX_BYTES:
        rule = f"must be {_SECRET_PREFIX} and base64 of {_SECRET_MIN_BYTES} to {_SECRET_MAX_BYTES} bytes"
        fault = Fault("$.secret", None, rule, "subscription.secret")
        raise Invalid("subscription.secret", f"The signing secret {rule}.", faults=(fault,))


def _check(attempt: int, chance: float) -> None:
    if attempt < 1 or not 0 <= chance <= 1:
        raise ValueError(f"no attempt {attempt} with chance {chance}")
