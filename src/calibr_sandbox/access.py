"""Who may call the API: which access tokens are good, with which scopes, and which bucket they draw from."""

from dataclasses import dataclass
from typing import Final

from calibr_sandbox.app import App
from calibr_sandbox.grants import Grants

BAD_TOKEN: Final = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a good token. `bucket` names the rate limit that it shares: that of its app in this shop."""

    bucket: str
    scopes: tuple[str, ...]


class Access:
    """The tokens that the server was started with, each an app of its own, and those that were granted."""

    def __init__(self, fixed_tokens: tuple[str, ...], app: App, grants: Grants) -> None:
        """Admit these tokens and those of the grants, as long as the app is installed."""
        self._fixed = frozenset(fixed_tokens)
        self.app = app
        self.grants = grants

    def caller(self, token: str) -> Caller | None:
        """Return who calls; None for a token that is unknown, expired or revoked, or when the app is not installed."""
        if not self.app.state.is_installed:
            return None
        if token in self._fixed:
            return None if self.grants.is_revoked(token) else Caller(token, self.app.scopes)
        return Caller(self.app.client_id, self.app.scopes) if token and self.grants.is_alive(token) else None

    def uninstall(self) -> None:
        """The merchant uninstalls the app: nothing that was granted is good anymore, not even after a new start."""
        self.app.uninstall()
        self.grants.revoke_all()
