"""Takes the steps of a connection, each with its event in the caller's transaction, and says when one is of no use."""

from collections.abc import Mapping

from calibr.catalog import repository
from calibr.catalog.connection_states import WHAT_TO_DO, ConnectionState, ConnectionStep
from calibr.catalog.model import Connection
from calibr.core.errors import Conflict, Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.events import Event, JsonValue, emit


def take_step(
    session: Session, connection_id: ConnectionId, step: ConnectionStep, payload: Mapping[str, JsonValue] | None = None
) -> bool:
    """Take `step` if the connection stands where it may be taken; what else happened meanwhile then counts. Repeatable.

    Raises NotFound.
    """
    before = ConnectionState(repository.lock_state(session, connection_id))
    if before not in step.sources:
        return False
    if before is not step.target:
        repository.update_state(session, connection_id, step.target)
    emit(session, Event(step.event, "connection", str(connection_id), {"from": before.value, **(payload or {})}))
    return True


def require_usable(connection: Connection) -> None:
    """Raise Conflict `connection.<state>` when nothing may be read from or written to the store now."""
    reason = _unusable(connection)
    if reason is not None:
        raise Conflict(*reason)


def require_open(connection: Connection) -> None:
    """The same for work that is under way: Upstream, which stops it so that it can go on later."""
    reason = _unusable(connection)
    if reason is not None:
        raise Upstream(*reason)


def is_usable(connection: Connection) -> bool:
    """Whether anything may be read from or written to the store now."""
    return _unusable(connection) is None


def _unusable(connection: Connection) -> tuple[str, str] | None:
    state = ConnectionState(connection.state)
    if state not in WHAT_TO_DO:
        return None
    return f"connection.{state}", f"The connection {connection.name!r} {WHAT_TO_DO[state]}."
