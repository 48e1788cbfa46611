"""The app as the shop knows it: installed or not, its scopes, its client secrets. Changes outlive the server."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson

from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.scopes import parse_scopes
from calibr_sandbox.store import Store

OLD_SECRET_S: Final = 3_600.0
"""For how long after a rotation the old secret still signs webhooks."""

_KEY: Final = "app"


@dataclass(frozen=True, slots=True)
class AppState:
    """What may change while the shop runs. `old_secret` signs webhooks until `old_until` (seconds since 1970)."""

    is_installed: bool = True
    is_permitted: bool = True
    """Whether the app belongs to the shop's organization: only then does the client credentials grant work."""
    consents: bool = True
    """Whether the merchant says yes when the app asks to be authorized."""
    scopes: tuple[str, ...] = ()
    client_secret: str = ""
    old_secret: str | None = None
    old_until: float = 0.0


class App:
    """The one app of a shop. Everything but `signing_secret` belongs to the event loop."""

    def __init__(self, config: SandboxConfig, store: Store, now: Callable[[], float]) -> None:
        """Take up the stored state, unless the server was started with other scopes or another secret since."""
        self.client_id = config.client_id
        self._webhook_secret = config.webhook_secret
        self._store = store
        self._now = now
        self._start = AppState(scopes=tuple(config.scopes), client_secret=config.client_secret)
        self.state = self._stored() or self._start

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the installation, which all tokens have."""
        return self.state.scopes

    @property
    def secret(self) -> str:
        """The client secret in force."""
        return self.state.client_secret

    def signing_secret(self) -> str:
        """What webhooks are signed with now: the old client secret for an hour after a rotation."""
        state = self.state
        if self._webhook_secret is not None:
            return self._webhook_secret
        if state.old_secret is not None and self._now() < state.old_until:
            return state.old_secret
        return state.client_secret

    def install(self, scopes: Iterable[str] | None = None) -> None:
        """The merchant installs the app, or installs it again, with these scopes (the present ones if None)."""
        granted = self.scopes if scopes is None else tuple(scopes)
        self._store_state(replace(self.state, is_installed=True, scopes=granted))

    def uninstall(self) -> None:
        """The merchant uninstalls the app."""
        self._store_state(replace(self.state, is_installed=False))

    def set_scopes(self, scopes: object) -> None:
        """Change the scopes of the installation. Raises ValueError for what is no list of scopes."""
        if not isinstance(scopes, list) or not all(isinstance(name, str) for name in scopes):
            raise ValueError(f"scopes: {scopes!r} is no list of scopes")
        self._store_state(replace(self.state, scopes=parse_scopes(",".join(scopes))))

    def set_flags(self, **flags: bool) -> None:
        """Change `is_permitted` or `consents`."""
        self._store_state(replace(self.state, **flags))  # type: ignore[arg-type]

    def rotate_secret(self, secret: object) -> None:
        """Put another client secret into force. Raises ValueError for one that cannot be."""
        if not isinstance(secret, str) or not secret or secret == self.secret:
            raise ValueError("client_secret: it must be a text of its own, and not the present secret")
        until = self._now() + OLD_SECRET_S
        self._store_state(replace(self.state, client_secret=secret, old_secret=self.secret, old_until=until))

    def _stored(self) -> AppState | None:
        text = self._store.fetch_value("SELECT value FROM meta WHERE key = ?", (_KEY,))
        kept: dict[str, Any] = orjson.loads(text) if isinstance(text, str) else {}
        if kept.get("start") != _as_json(self._start):
            return None
        found = kept["state"]
        return AppState(**{**found, "scopes": tuple(found["scopes"])})

    def _store_state(self, state: AppState) -> None:
        self.state = state
        kept = orjson.dumps({"start": _as_json(self._start), "state": _as_json(state)}).decode()
        with self._store.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, kept))


def _as_json(state: AppState) -> dict[str, Any]:
    return {**asdict(state), "scopes": list(state.scopes)}
