"""Who is asking: from the text of a bearer token to a principal. Every refusal looks the same from outside."""

import hmac
from datetime import timedelta

from calibr.access import repository
from calibr.access.model import Principal
from calibr.access.repository import Credential
from calibr.access.scopes import ROLE_SCOPES, Scope
from calibr.access.token_text import TokenText
from calibr.core.errors import Forbidden, Unauthenticated
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, Session

USE_NOTED_EVERY = timedelta(minutes=1)
NO_SUCH_HASH = bytes(32)


def authenticate(database: Database, bearer: str) -> Principal:
    """The owner of a token.

    Raises Unauthenticated `token.invalid`, the same for a text that is no token, an unknown, expired or revoked one,
    and a disabled user: the answer does not say which of them it is.
    """
    text = TokenText.parse(bearer)
    if text is None:
        raise refused()
    context = Context(text.tenant_id, actor="system:access", correlation_id=new_uuid())
    with database.session(context) as session:
        credential = repository.find_credential(session, text.token_id)
        stored = credential.secret_hash if credential is not None else NO_SUCH_HASH
        matches = hmac.compare_digest(stored, text.secret_hash())
        if credential is None or not matches or not _is_good(credential, session):
            raise refused()
        _note_use(credential, session)
        return _principal(credential, session)


def require(principal: Principal, scope: Scope) -> None:
    """Raise Forbidden `scope.missing`, naming the scope, unless the principal has it."""
    if scope not in principal.scopes:
        raise Forbidden("scope.missing", f"This needs the scope {scope.value}, which your token does not have.")


def refused() -> Unauthenticated:
    """The one refusal."""
    return Unauthenticated("token.invalid", "This needs a valid bearer token: Authorization: Bearer clbr_live_...")


def _is_good(credential: Credential, session: Session) -> bool:
    """By the clock of the database."""
    token = credential.token
    return token.revoked_at is None and token.expires_at > session.now and credential.user.disabled_at is None


def _note_use(credential: Credential, session: Session) -> None:
    """At most one write a minute, however many requests there are."""
    limit, last = session.now - USE_NOTED_EVERY, credential.token.last_used_at
    if last is None or last < limit:
        repository.touch_token(session, credential.token.id, not_since=limit)


def _principal(credential: Credential, session: Session) -> Principal:
    user = credential.user
    return Principal(
        tenant_id=session.tenant_id,
        tenant_name=credential.tenant_name,
        user_id=user.id,
        user_name=user.name,
        role=user.role,
        token_id=credential.token.id,
        token_expires_at=credential.token.expires_at,
        scopes=credential.token.scopes & ROLE_SCOPES[user.role],
    )
