"""Reads and writes the counts of accounts at stores."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text

from calibr.db import Session

FORGOTTEN_AFTER: Final = timedelta(days=1)

# Others wait for this row only while somebody computes, so a wait means that the holder stands still: whoever waits
# goes on without, and a holder that was stopped in the middle is let go by the server.
_WAITS = text("""
  select set_config('lock_timeout', '1s', true), set_config('idle_in_transaction_session_timeout', '5s', true)
""")
_LOCK = text("""
  select state::text as state, extract(epoch from clock_timestamp())::float8 as now
  from calibr.store_budget where account = :account for update
""")
_INSERT = text("""
  insert into calibr.store_budget(tenant_id, account) values (:tenant, :account) on conflict do nothing
""")
_UPDATE = text("""
  update calibr.store_budget set state = cast(:state as jsonb), changed_at = now() where account = :account
""")
_FORGET = text("delete from calibr.store_budget where changed_at < :before")


def lock_budget(session: Session, account: str) -> tuple[dict[str, Any] | None, float]:
    """The state of an account, which nobody else changes until the end of the transaction, and the database's time."""
    session.execute(_WAITS)
    row = session.execute(_LOCK, {"account": account}).one_or_none()
    if row is None:
        session.execute(_INSERT, {"tenant": session.tenant_id, "account": account})
        row = session.execute(_LOCK, {"account": account}).one()
    return None if row.state is None else orjson.loads(row.state), row.now


def update_budget(session: Session, account: str, state: Mapping[str, Any]) -> None:
    """Keep the state of an account that is locked."""
    session.execute(_UPDATE, {"account": account, "state": orjson.dumps(state).decode()})


def forget_old_budgets(session: Session) -> int:
    """Forget accounts that nobody has used for a day; the next answer of their store tells all that was known."""
    return session.execute(_FORGET, {"before": session.now - FORGOTTEN_AFTER}).rowcount
