"""The access token of one connection in one process: renewed before it ends, and once when the store refuses it.

Where it is kept, and that only one process at a time asks for a new one, is the keeper's business.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from calibr.connectors.port.credentials import Credential, CredentialKeeper, Issued
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.errors import UNAUTHORIZED, UNAVAILABLE, CallError
from calibr.connectors.shopify.methods import AuthMethod
from calibr.connectors.shopify.oauth import OAuth
from calibr.core.errors import Unavailable, Upstream

FOREVER: Final = math.inf
UNISSUED: Final = -1
"""The generation of what was never issued: any that is kept is newer."""

LOOK_AGAIN_S: Final = 30.0
"""A renewal that failed while the old token still lives is tried again after so long."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token and until when it is used, by this process's clock."""

    text: str = field(repr=False)
    generation: int
    renew_at: float
    dies_at: float


class Tokens:
    """Thread-safe."""

    def __init__(self, config: StoreConfig, oauth: OAuth | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._oauth = oauth
        self._clock = clock
        self._keeper: CredentialKeeper | None = None
        self._lock = Lock()
        self._held: Held | None = None

    def use_keeper(self, keeper: CredentialKeeper) -> None:
        """Take and leave credentials there from now on."""
        self._keeper = keeper

    def get(self) -> Held:
        """The token to send now. Raises `CallError` when there is none and none is given."""
        with self._lock:
            if self._held is None:
                self._held = self._first()
            if self._held.renew_at > self._clock():
                return self._held
            return self._renewed_in_time(self._held)

    def instead_of(self, refused: Held) -> Held | None:
        """Another token for one that the store refused; None if there is no other."""
        with self._lock:
            if self._held is not None and self._held.generation > refused.generation:
                return self._held
            if self._oauth is None or self._keeper is None:
                return None
            self._held = self._renew(refused.generation)
            return self._held

    def give_up(self, refused: Held, error: CallError) -> None:
        """Tell the keeper that the store refuses this token, and that there is no other."""
        if self._keeper is not None:
            self._keeper.refused(refused.generation, error.code, error.message)

    def expires_in_s(self) -> float | None:
        """How long the token at hand still lives; None if it has no end, or there is none."""
        with self._lock:
            held = self._held
        return None if held is None or held.dies_at == FOREVER else max(0.0, held.dies_at - self._clock())

    def _first(self) -> Held:
        if self._config.access_token is not None:
            return Held(self._config.access_token, UNISSUED, FOREVER, FOREVER)
        kept = self._current()
        return self._renew(UNISSUED) if kept is None else self._timed(kept)

    def _current(self) -> Credential | None:
        try:
            return None if self._keeper is None else self._keeper.current()
        except Unavailable as error:
            raise CallError(UNAVAILABLE, error.message, retryable=True) from error

    def _renewed_in_time(self, held: Held) -> Held:
        try:
            self._held = self._renew(held.generation)
        except CallError as error:
            if not error.retryable or held.dies_at <= self._clock():
                raise
            # The old one still works: whoever calls now must not suffer from a token endpoint that stumbles.
            later = min(self._clock() + LOOK_AGAIN_S, held.dies_at)
            self._held = Held(held.text, held.generation, later, held.dies_at)
        return self._held

    def _renew(self, seen: int) -> Held:
        if self._keeper is None:
            raise CallError(UNAUTHORIZED, "There is nothing that keeps the tokens of this connection.")
        try:
            return self._timed(self._keeper.renew(seen, self._issue))
        except CallError as error:
            if error.code == UNAUTHORIZED:
                self._keeper.refused(seen, error.code, error.message)
            raise
        except Upstream as error:  # the connection is not to be used any more
            raise CallError(UNAUTHORIZED, error.message) from error
        except Unavailable as error:
            raise CallError(UNAVAILABLE, error.message, retryable=True) from error

    def _issue(self, refresh_token: str | None) -> Issued:
        if self._oauth is None:
            raise CallError(UNAUTHORIZED, "A pasted access token cannot be renewed.")
        if self._config.method is AuthMethod.CLIENT_CREDENTIALS:
            return self._oauth.by_credentials()
        if refresh_token is None:
            raise CallError(UNAUTHORIZED, "The owner of the store has not agreed yet; authorize the connection.")
        return self._oauth.by_refresh(refresh_token)

    def _timed(self, kept: Credential) -> Held:
        now = self._clock()
        renew_at = FOREVER if kept.renew_in_s is None else now + kept.renew_in_s
        dies_at = FOREVER if kept.lives_s is None else now + kept.lives_s
        return Held(kept.access_token, kept.generation, renew_at, dies_at)
