"""Keeps what accounts at stores may still ask for: a row that all processes change in turn, by the database's clock."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from calibr.catalog.repository_budgets import lock_budget, update_budget
from calibr.connectors.port.budget import BudgetChange
from calibr.core.errors import Unavailable
from calibr.db import DATABASE_ERRORS, Session


@dataclass(frozen=True, slots=True)
class Budgets:
    """See `connectors.port.BudgetKeeper`. No call to a store is under way while a row is held."""

    again: Callable[[], AbstractContextManager[Session]]

    def change(self, account: str, change: BudgetChange) -> None:
        """Replace the state of an account in a transaction of its own. It is a hint, and no event tells of it."""
        try:
            with self.again() as session:
                state, now = lock_budget(session, account)
                update_budget(session, account, change(state, now))
        except DATABASE_ERRORS as error:
            raise Unavailable("db.unavailable", "The database does not answer; try again.", retryable=True) from error
