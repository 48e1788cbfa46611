"""Credentials that change in the life of a connection: what an authorization server issued, and who keeps it.

The connector knows how to ask for a credential and never where it is kept; the keeper knows where and never how to ask.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Issued:
    """What an authorization server gave. `None` for a time: it named none."""

    access_token: str = field(repr=False)
    expires_in_s: int | None
    scopes: tuple[str, ...] = ()
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_in_s: int | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """An access token as it is kept. Seconds count from the moment at which the keeper handed it out."""

    access_token: str = field(repr=False)
    generation: int
    """How many this connection has had: a newer one has a higher number."""
    lives_s: float | None = None
    renew_in_s: float | None = None
    scopes: tuple[str, ...] = ()


Issue = Callable[[str | None], Issued]
"""Asks the authorization server, given the refresh token that is kept (None: there is none)."""


class CredentialKeeper(Protocol):
    """The credential of one connection, the same for all processes. Thread-safe."""

    def current(self) -> Credential | None:
        """What is kept now; None if nothing was issued yet."""
        ...

    def renew(self, seen: int, issue: Issue) -> Credential:
        """A newer credential than `seen`, asked for once by whoever comes first, and kept before anybody gets it.

        Raises what `issue` raises.
        """
        ...

    def refused(self, seen: int, code: str, message: str) -> None:
        """Note that the store refuses us, unless there is a newer credential than `seen` by now: a person is needed."""
        ...


@runtime_checkable
class KeepsCredentials(Protocol):
    """A connector whose credential may change."""

    def use_keeper(self, keeper: CredentialKeeper) -> None:
        """Take credentials from `keeper`. Called once, before anything else."""
        ...


@runtime_checkable
class AsksForConsent(Protocol):
    """A connector whose store has to be asked by its owner's browser."""

    @property
    def needs_consent(self) -> bool:
        """Whether this connection works only after its owner has agreed."""
        ...

    @property
    def account(self) -> str:
        """What the consent is for. Two connections must not share it: each would end the credential of the other."""
        ...

    def consent_url(self, redirect_uri: str, state: str) -> str:
        """Where the owner has to go."""
        ...

    def verify_return(self, query: Mapping[str, str]) -> str:
        """Judge what the owner's browser brought back and return the code. Raises Invalid; asks nobody."""
        ...

    def redeem(self, code: str) -> Issued:
        """Exchange the code. Raises Upstream."""
        ...
