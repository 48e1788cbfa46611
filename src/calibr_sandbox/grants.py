"""The access tokens that the shop has given out: what each may do, how long it lives, what takes its place.

An expiring token comes with a refresh token. Refreshing replaces both; the refresh token that was used keeps working
(it gives the same successors again) until its successor is used, as an answer may have been lost.
"""

import secrets
import sqlite3
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from calibr_sandbox.store import Store

DAY_S: Final = 86_399
HOUR_S: Final = 3_600
REFRESH_S: Final = 7_776_000
"""Ninety days."""
RETRY_S: Final = 2_592_000
"""For how long after its first use a refresh token may be used again: thirty days."""
CODE_S: Final = 600

_COLUMNS: Final = "id, access_token, kind, issued_at, expires_at, refresh_token, refresh_expires_at, used_at, successor"
_INSERT: Final = (
    "INSERT INTO oauth_grant (access_token, kind, issued_at, expires_at, refresh_token, refresh_expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_END: Final = "UPDATE oauth_grant SET is_revoked = 1, is_retired = 1 WHERE"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS oauth_grant (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  access_token TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  issued_at REAL NOT NULL,
  expires_at REAL,
  is_revoked INTEGER NOT NULL DEFAULT 0,
  refresh_token TEXT UNIQUE,
  refresh_expires_at REAL,
  used_at REAL,
  successor INTEGER REFERENCES oauth_grant (id),
  is_retired INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS oauth_code (code TEXT PRIMARY KEY, kind TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS revoked_token (access_token TEXT PRIMARY KEY);
"""


class Kind(StrEnum):
    """How a token came to be, and with that how long it lives."""

    CLIENT_CREDENTIALS = "client_credentials"
    OFFLINE = "offline"
    EXPIRING = "expiring"
    ONLINE = "online"


_PREFIX: Final = {
    Kind.CLIENT_CREDENTIALS: "shpat",
    Kind.OFFLINE: "shpat",
    Kind.EXPIRING: "shpat",
    Kind.ONLINE: "shpua",
}
_LIFE_S: Final = {Kind.CLIENT_CREDENTIALS: DAY_S, Kind.OFFLINE: None, Kind.EXPIRING: HOUR_S, Kind.ONLINE: DAY_S}


class Grant(NamedTuple):
    """One access token, with the refresh token that came along. Times are seconds since 1970, by the sandbox's time."""

    id: int
    access_token: str
    kind: str
    issued_at: float
    expires_at: float | None
    refresh_token: str | None
    refresh_expires_at: float | None
    used_at: float | None
    successor: int | None


class RefusedGrantError(Exception):
    """A code or refresh token that gives nothing, with the reason."""


class Grants:
    """The tokens of one shop, in its file."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        """Keep them in this store, and let them grow old by this time."""
        self._store = store
        self._now = now
        with store.transaction() as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        self._revoked = {row[0] for row in store.fetch_all("SELECT access_token FROM revoked_token")}

    def issue(self, kind: Kind) -> Grant:
        """Give out a token. A new expiring one takes the place of all that were there before."""
        with self._store.transaction() as connection:
            if kind is Kind.EXPIRING:
                connection.execute(f"{_END} kind = ?", (Kind.EXPIRING,))
            return self._insert(connection, kind)

    def is_alive(self, access_token: str) -> bool:
        """Whether a token of ours is in force."""
        sql = "SELECT 1 FROM oauth_grant WHERE access_token = ? AND NOT is_revoked AND coalesce(expires_at > ?, 1)"
        return self._store.fetch_one(sql, (access_token, self._now())) is not None

    def is_revoked(self, access_token: str) -> bool:
        """Whether a token that the server was started with has been revoked."""
        return access_token in self._revoked

    def refresh(self, refresh_token: str) -> Grant:
        """Replace a pair of tokens, or return once more what has replaced it. Raises RefusedGrantError."""
        now = self._now()
        with self._store.transaction() as connection:
            found = self._one("refresh_token = ? AND NOT is_retired", refresh_token)
            if found is None or (found.refresh_expires_at or 0) <= now:
                raise RefusedGrantError("The refresh token is unknown, expired or no longer valid.")
            if found.successor is not None:
                if (found.used_at or 0) + RETRY_S <= now:
                    raise RefusedGrantError("The refresh token was used too long ago.")
                return self._renewed(connection, found.successor)
            successor = self._insert(connection, Kind.EXPIRING)
            connection.execute(
                "UPDATE oauth_grant SET successor = ?, used_at = ?, is_revoked = 1 WHERE id = ?",
                (successor.id, now, found.id),
            )
            # This one is in use now, so the app holds it: the one before has done its duty.
            connection.execute("UPDATE oauth_grant SET is_retired = 1 WHERE successor = ?", (found.id,))
        return successor

    def new_code(self, kind: Kind) -> str:
        """Make a code that buys one token of this kind (an offline one may still become expiring), once."""
        code = secrets.token_hex(16)
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO oauth_code VALUES (?, ?, ?)", (code, kind, self._now() + CODE_S))
        return code

    def redeem(self, code: str) -> Kind:
        """Use a code up. Raises RefusedGrantError for one that is unknown, used or too old."""
        with self._store.transaction() as connection:
            row = connection.execute(
                "DELETE FROM oauth_code WHERE code = ? RETURNING kind, expires_at", (code,)
            ).fetchone()
        if row is None or row[1] <= self._now():
            raise RefusedGrantError("The authorization code was not found or was already used")
        return Kind(row[0])

    def offline(self) -> Grant:
        """The token without an end: the same one each time, as long as it is not revoked."""
        return self._one("kind = ? AND NOT is_revoked", Kind.OFFLINE) or self.issue(Kind.OFFLINE)

    def revoke(self, access_token: str) -> None:
        """End a token and its refresh token; one that the server was started with is remembered as revoked."""
        with self._store.transaction() as connection:
            connection.execute(f"{_END} access_token = ?", (access_token,))
            connection.execute("INSERT OR IGNORE INTO revoked_token VALUES (?)", (access_token,))
        self._revoked.add(access_token)

    def revoke_all(self) -> None:
        """End every token and code that was given out."""
        with self._store.transaction() as connection:
            connection.execute(f"{_END} 1")
            connection.execute("DELETE FROM oauth_code")

    def list_alive(self) -> list[Grant]:
        """The tokens in force, the newest first."""
        sql = (
            f"SELECT {_COLUMNS} FROM oauth_grant"  # noqa: S608 - columns of our own
            " WHERE NOT is_revoked AND coalesce(expires_at > ?, 1) ORDER BY id DESC"
        )
        return [Grant._make(row) for row in self._store.fetch_all(sql, (self._now(),))]

    def _insert(self, connection: sqlite3.Connection, kind: Kind) -> Grant:
        now, life = self._now(), _LIFE_S[kind]
        refresh = f"shprt_{secrets.token_hex(16)}" if kind is Kind.EXPIRING else None
        values = (
            *(f"{_PREFIX[kind]}_{secrets.token_hex(16)}", kind, now, None if life is None else now + life),
            *(refresh, None if refresh is None else now + REFRESH_S),
        )
        row = connection.execute(f"{_INSERT} RETURNING {_COLUMNS}", values).fetchone()
        return Grant._make(row)

    def _renewed(self, connection: sqlite3.Connection, number: int) -> Grant:
        """The successor, alive for its full time again if it has expired."""
        now = self._now()
        connection.execute(
            "UPDATE oauth_grant SET expires_at = ? WHERE id = ? AND expires_at <= ?", (now + HOUR_S, number, now)
        )
        found = self._one("id = ?", number)
        if found is None:
            raise LookupError(f"there is no grant {number}")
        return found

    def _one(self, where: str, value: object) -> Grant | None:
        row = self._store.fetch_one(f"SELECT {_COLUMNS} FROM oauth_grant WHERE {where} LIMIT 1", (value,))  # noqa: S608
        return None if row is None else Grant._make(row)
