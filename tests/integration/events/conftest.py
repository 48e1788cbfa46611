"""An event whose schema exists."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from calibr.events import Event


@pytest.fixture
def make_event() -> Callable[..., Event]:
    """Makes a valid event about a token, or one with fields of its payload replaced."""

    def make(aggregate_id: str = "t1", **changes: Any) -> Event:  # noqa: ANN401 - also what does not belong there
        payload = {"token_id": str(UUID(int=1)), "user_id": str(UUID(int=2)), "name": "CI"} | changes
        return Event("token.revoked", "token", aggregate_id, payload)

    return make
