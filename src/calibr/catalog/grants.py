"""Keeps what a store issued to a connection: sealed, shared by all processes, and kept before anybody uses it.

Only one process at a time asks the store: it holds the row of the grant, in an open transaction, while it waits for the
answer. That is meant. A pair of tokens rotates when it is asked for, so two askers would end each other's pair, and a
lock that ends with its transaction needs no repair after a crash. If the process dies with the answer in its hands, the
old pair is still kept, and the store takes the old refresh token until the new one is used.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from calibr.catalog import repository
from calibr.catalog.connection_states import REFUSE
from calibr.catalog.connection_steps import require_open, take_step
from calibr.catalog.reads import get_connection
from calibr.catalog.repository_grants import (
    Grant,
    find_grant,
    find_secrets_revision,
    lock_grant,
    update_grant,
    upsert_secrets,
)
from calibr.connectors.port.credentials import Credential, Issue, Issued
from calibr.core.errors import CalibrError, Unavailable, Upstream
from calibr.core.ids import ConnectionId
from calibr.db import DATABASE_ERRORS, Session
from calibr.events import Event, JsonValue, emit
from calibr.monitor import scrub
from calibr.vault import SecretPlace, Vault

ISSUED: Final = "issued_"
"""How the names of secrets begin that a store gave us; all others were given by a person."""
ACCESS: Final = f"{ISSUED}access_token"
REFRESH: Final = f"{ISSUED}refresh_token"
EARLY_S: Final = 300.0
EARLY_PART: Final = 10
"""A token is renewed when a tenth of its life is left, or five minutes."""

_log = structlog.stdlib.get_logger("calibr.catalog")


@dataclass(frozen=True, slots=True)
class GrantKeeper:
    """See `connectors.port.CredentialKeeper`. With `any_state` it also serves a connection that is not to be used."""

    again: Callable[[], AbstractContextManager[Session]]
    connection_id: ConnectionId
    vault: Vault
    secrets_revision: int = 0
    """Of the secrets that its connector was opened with."""
    any_state: bool = False

    def current(self) -> Credential | None:
        """What is kept now."""
        with _reached(), self.again() as session:
            grant = find_grant(session, self.connection_id)
            return None if grant is None else self._kept(session, grant)

    def renew(self, seen: int, issue: Issue) -> Credential:
        """A newer credential than `seen`, committed when this returns.

        Raises what `issue` raises, and Upstream when the connection is not to be used.
        """
        with _reached(), self.again() as session:
            if not self.any_state:
                require_open(get_connection(session, self.connection_id))
            grant = lock_grant(session, self.connection_id)
            kept = self._kept(session, grant)
            if kept is not None and kept.generation > seen and (kept.renew_in_s is None or kept.renew_in_s > 0):
                return kept
            issued = issue(self._refresh_token(session))
            made = keep_issued(session, self.connection_id, self.vault, grant, issued)
            renewed = self._kept(session, made)
        if renewed is None:
            raise AssertionError("what was just kept is there")
        return renewed

    def refused(self, seen: int, code: str, message: str) -> None:
        """Make the connection `unauthorized`, unless what was refused is out of date.

        It is when another process has renewed the token meanwhile, or a person gave another credential since the
        connector was opened. A database that is away does not hide why this was called.
        """
        try:
            with self.again() as session:
                grant = find_grant(session, self.connection_id)
                newest = 0 if grant is None else grant.generation
                revision = find_secrets_revision(session, self.connection_id)
                if revision != self.secrets_revision or newest > max(seen, 0):
                    return
                take_step(session, self.connection_id, REFUSE, {"code": code, "message": scrub(message)})
        except (CalibrError, *DATABASE_ERRORS) as error:
            _log.warning("connection.refusal_not_noted", connection_id=str(self.connection_id), error=repr(error))

    def _kept(self, session: Session, grant: Grant) -> Credential | None:
        sealed = repository.load_secrets(session, self.connection_id).get(ACCESS)
        if sealed is None or grant.obtained_at is None:
            return None
        place = SecretPlace(session.tenant_id, self.connection_id, ACCESS)
        lives_s = renew_in_s = None
        if grant.expires_at is not None:
            lives_s = (grant.expires_at - session.now).total_seconds()
            whole_s = (grant.expires_at - grant.obtained_at).total_seconds()
            renew_in_s = lives_s - min(EARLY_S, whole_s / EARLY_PART)
        token = self.vault.open(place, sealed).reveal()
        return Credential(token, grant.generation, lives_s, renew_in_s, grant.scopes)

    def _refresh_token(self, session: Session) -> str | None:
        sealed = repository.load_secrets(session, self.connection_id).get(REFRESH)
        place = SecretPlace(session.tenant_id, self.connection_id, REFRESH)
        return None if sealed is None else self.vault.open(place, sealed).reveal()


def keep_issued(session: Session, connection_id: ConnectionId, vault: Vault, grant: Grant, issued: Issued) -> Grant:
    """Keep tokens under the lock of `grant`. Emits `connection.token_issued`. A new consent comes through here too."""
    made = Grant(
        generation=grant.generation + 1,
        account=grant.account,
        scopes=issued.scopes,
        obtained_at=session.now,
        expires_at=None if issued.expires_in_s is None else session.now + timedelta(seconds=issued.expires_in_s),
        refresh_expires_at=None
        if issued.refresh_expires_in_s is None
        else session.now + timedelta(seconds=issued.refresh_expires_in_s),
    )
    texts = {ACCESS: issued.access_token, **({} if issued.refresh_token is None else {REFRESH: issued.refresh_token})}
    sealed = {
        name: vault.seal(SecretPlace(session.tenant_id, connection_id, name), text) for name, text in texts.items()
    }
    upsert_secrets(session, connection_id, sealed)
    values: dict[str, Any] = {
        "generation": made.generation,
        "account": made.account,
        "scopes": list(made.scopes),
        "obtained_at": made.obtained_at,
        "expires_at": made.expires_at,
        "refresh_expires_at": made.refresh_expires_at,
    }
    update_grant(session, connection_id, values)
    payload: dict[str, JsonValue] = {
        "generation": made.generation,
        "scopes": [*made.scopes],
        "expires_at": None if made.expires_at is None else made.expires_at.isoformat(),
    }
    emit(session, Event("connection.token_issued", "connection", str(connection_id), payload))
    return made


@contextmanager
def _reached() -> Iterator[None]:
    """A database that does not answer is a reason to try again, not an unknown error in the middle of a call."""
    try:
        yield
    except Upstream:
        raise
    except DATABASE_ERRORS as error:
        raise Unavailable("db.unavailable", "The database does not answer; try again.", retryable=True) from error
