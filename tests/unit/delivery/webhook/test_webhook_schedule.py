"""When deliveries are tried again, and which secrets sign them."""

import base64

import pytest
from standardwebhooks import Webhook

from calibr.core.errors import Invalid
from calibr.delivery.webhook import (
    WEBHOOK_ATTEMPTS,
    check_secret,
    new_secret,
    projection_delay_s,
    webhook_delay_s,
)


def test_a_webhook_is_tried_eight_times_over_a_day_and_a_bit() -> None:
    waits = [webhook_delay_s(attempt) for attempt in range(1, 11)]
    assert waits == [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000, None, None]
    assert WEBHOOK_ATTEMPTS == 8
    assert sum(wait for wait in waits if wait is not None) == 27 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize("attempt", range(1, 9))
def test_jitter_only_lengthens_a_wait_and_by_a_tenth_at_most(attempt: int) -> None:
    plain, longest = webhook_delay_s(attempt), webhook_delay_s(attempt, 1.0)
    assert plain is not None
    assert longest == pytest.approx(plain * 1.1)


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (5, 3.2), (6, 5), (7, 5), (10**9, 5)]
)
def test_a_projection_is_tried_for_ever_with_waits_that_grow_to_five_seconds(attempt: int, longest: float) -> None:
    assert projection_delay_s(attempt, 1) == pytest.approx(longest)
    assert projection_delay_s(attempt, 0.5) == pytest.approx(longest / 2)
    assert projection_delay_s(attempt, 0) == 0


@pytest.mark.parametrize(("attempt", "chance"), [(0, 0.5), (-1, 0.5), (1, 1.1), (1, -0.1)])
def test_nonsense_is_refused(attempt: int, chance: float) -> None:
    with pytest.raises(ValueError, match="no attempt"):
        webhook_delay_s(attempt, chance)
    with pytest.raises(ValueError, match="no attempt"):
        projection_delay_s(attempt, chance)


def test_new_secrets_are_valid_different_and_long_enough() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        check_secret(secret)
        Webhook(secret)
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) >= 24


def _secret(length: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * length).decode()


@pytest.mark.parametrize("length", [24, 32, 64])
def test_secrets_of_24_to_64_bytes_are_accepted(length: int) -> None:
    check_secret(_secret(length))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "hunter2",
        _secret(23),
        _secret(65),
        _secret(32).removeprefix("whsec_"),
        _secret(32).upper(),
        _secret(32)[:-1],
        _secret(32) + "\n",
        _secret(32).replace("a", "!"),
        _secret(32) + "\N{EURO SIGN}",
        "whsec_" + _secret(32),
    ],
)
def test_another_text_is_no_secret_and_is_not_repeated(secret: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_secret(secret)
    assert caught.value.code == "subscription.secret"
    assert caught.value.faults[0].value is None
    assert len(secret) < 7 or secret not in str(caught.value)
