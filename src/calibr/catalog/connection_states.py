"""The life of a connection: which state may follow which, and the event that tells it.

Pure: no database, no clock. `catalog.connection_steps` takes the steps; a trigger of the database mirrors the pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ConnectionState(StrEnum):
    """Where a connection stands."""

    PENDING = "pending"
    """The owner of the store has not agreed yet."""
    ACTIVE = "active"
    FAILING = "failing"
    """The store did not answer as it should the last time; it is tried again."""
    UNAUTHORIZED = "unauthorized"
    """The store refuses our credential, and only a person can give another one."""
    UNINSTALLED = "uninstalled"
    """The owner has removed the app from the store."""
    DISABLED = "disabled"
    """Switched off by us."""


_S = ConnectionState


@dataclass(frozen=True, slots=True)
class ConnectionStep:
    """One kind of step: from where, to where, and the event."""

    sources: frozenset[ConnectionState]
    target: ConnectionState
    event: str


def _step(target: ConnectionState, event: str, *sources: ConnectionState) -> ConnectionStep:
    return ConnectionStep(frozenset(sources), target, f"connection.{event}")


AUTHORIZE = _step(_S.ACTIVE, "authorized", _S.PENDING, _S.ACTIVE, _S.FAILING, _S.UNAUTHORIZED, _S.UNINSTALLED)
"""The owner agreed; also again, which replaces the tokens."""
RECOVER = _step(_S.ACTIVE, "recovered", _S.FAILING)
"""Work at the store went well again."""
PROVE = _step(_S.ACTIVE, "recovered", _S.FAILING, _S.UNAUTHORIZED, _S.UNINSTALLED)
"""A check was answered: that our credential is good (again) is seen, not believed."""
FAIL = _step(_S.FAILING, "failing", _S.ACTIVE)
REFUSE = _step(_S.UNAUTHORIZED, "unauthorized", _S.ACTIVE, _S.FAILING)
UNINSTALL = _step(_S.UNINSTALLED, "uninstalled", _S.PENDING, _S.ACTIVE, _S.FAILING, _S.UNAUTHORIZED)
DISABLE = _step(_S.DISABLED, "disabled", *(set(_S) - {_S.DISABLED}))
ENABLE = _step(_S.ACTIVE, "enabled", _S.DISABLED)

STEPS = (AUTHORIZE, RECOVER, PROVE, FAIL, REFUSE, UNINSTALL, DISABLE, ENABLE)

FIRST_STATES = frozenset({_S.PENDING, _S.ACTIVE})

WHAT_TO_DO: Mapping[ConnectionState, str] = MappingProxyType(
    {
        _S.PENDING: "waits for the owner of the store to agree; authorize it",
        _S.UNAUTHORIZED: "was refused by the store; authorize it again",
        _S.UNINSTALLED: "lost its app, which was removed from the store; install it there and authorize it again",
        _S.DISABLED: "is disabled; enable it first",
    }
)
"""The states in which nothing is read from the store or written to it, and the way out of them."""


def moves() -> frozenset[tuple[ConnectionState, ConnectionState]]:
    """Every allowed pair of different states."""
    return frozenset((s, step.target) for step in STEPS for s in step.sources if s is not step.target)
