"""A projection that every tenant has: how many events of each type a day had (UTC)."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date

from calibr.db import Session
from calibr.delivery.model import Message
from calibr.delivery.repository_activity import add_activity, clear_activity


class Activity:
    """See `delivery.model.Projection`. Counts only, so that it is small and the same in any order of lanes."""

    name = "activity"
    event_types: tuple[str, ...] = ()

    def apply(self, session: Session, messages: Sequence[Message]) -> None:
        """Add the messages to their days."""
        counts: Counter[tuple[date, str]] = Counter((m.at.astimezone(UTC).date(), m.type) for m in messages)
        if counts:
            add_activity(session, counts)

    def clear(self, session: Session) -> None:
        """Forget all counts."""
        clear_activity(session)
