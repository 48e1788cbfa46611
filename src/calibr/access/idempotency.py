"""A repeated request does nothing twice: the first one's answer is stored in the transaction of its change.

So a key exists if and only if its change does. A request that failed left no key, and its repetition is tried anew.
"""

from datetime import timedelta

from calibr.access import repository_idempotency as repository
from calibr.access.model import RequestMark, StoredAnswer
from calibr.core.errors import Invalid
from calibr.db import Session

KEPT_FOR = timedelta(days=30)


def recall(session: Session, mark: RequestMark) -> StoredAnswer | None:
    """Win the key for this transaction (None: go on, then `remember`), or return the answer that it had before.

    Lock: the key, to the end of the transaction.

    Raises:
        Invalid: `idempotency.key_reused` if the key belongs to another request.
        Conflict: `idempotency.in_flight` while the first request is in work.
    """
    return None if repository.insert_key(session, mark) else peek(session, mark)


def peek(session: Session, mark: RequestMark) -> StoredAnswer | None:
    """Return the answer that a request with this key had, and win nothing.

    Raises:
        Invalid: `idempotency.key_reused` if the key belongs to another request.
    """
    stored = repository.get_answer(session, mark)
    if stored is None:
        return None
    if stored.request_hash != mark.request_hash:
        raise Invalid("idempotency.key_reused", f"The idempotency key {mark.key!r} belongs to another request.")
    return StoredAnswer(stored.status, stored.body, stored.headers)


def remember(session: Session, mark: RequestMark, answer: StoredAnswer) -> None:
    """Store the answer under the key that `recall` won. What is shown only once must not be in it."""
    repository.set_answer(session, mark, answer)


def forget_old_keys(session: Session) -> int:
    """Delete keys older than 30 days and return their number. For the worker."""
    return repository.delete_before(session, session.now - KEPT_FOR)
