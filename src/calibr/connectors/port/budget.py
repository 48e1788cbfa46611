"""What one account at a store may still ask for: one count for all processes, as the store has it.

The connector knows how its store counts and never where the count is kept; the keeper knows where and never how.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

BudgetState = Mapping[str, Any]
"""A count, as JSON values, in the words of the connector that wrote it."""

BudgetChange = Callable[[BudgetState | None, float], BudgetState]
"""Gives the next state for the one that is kept (None: none is) and the time: seconds of one clock for all processes,
which may be set back."""


class BudgetKeeper(Protocol):
    """The counts of a tenant's accounts, the same for all processes. Thread-safe.

    They are hints: a count may vanish, and what the store answers is what holds.
    """

    def change(self, account: str, change: BudgetChange) -> None:
        """Replace the state of an account; nobody else changes it meanwhile. `change` runs at most once, and fast.

        Raises Unavailable when that is not possible now; then nothing or everything was changed.
        """
        ...


@runtime_checkable
class SharesBudget(Protocol):
    """A connector whose store limits how much its callers ask, all processes together."""

    def use_budget(self, keeper: BudgetKeeper) -> None:
        """Count in `keeper` from now on. Called once, before anything else; without it this process counts alone."""
        ...
