"""Who calls, and the two things that a handler does on their behalf: read, and change.

A dependency of this module in a handler's signature is its permission; a handler without one is public, and a test
lists those.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from calibr import access
from calibr.access import Principal, RequestMark, Scope, StoredAnswer
from calibr.core.errors import Fault, Invalid
from calibr.core.ids import new_uuid
from calibr.db import Context, Session
from calibr.http.answer import MEDIA_TYPE, Answer, json_bytes
from calibr.http.services import ApiServices

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
REPLAYED: Final = "Idempotent-Replayed"
BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """One request of an authenticated user."""

    services: ApiServices
    principal: Principal
    context: Context
    mark: RequestMark | None
    """Set where the request may be repeated under an idempotency key."""

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction on behalf of the caller."""
        with self.services.database.session(self.context) as session:
            yield session

    def command(self, work: Callable[[Session], Answer]) -> Response:
        """Run `work` in one transaction together with the idempotency key, and answer once the change is committed.

        A repeated request is answered as the first one was, and nothing is done. A failed one leaves no key.
        """
        with self.session() as session:
            if (stored := self._recalled(session)) is not None:
                return _replayed(stored)
            answer = work(session)
            response = answer.response()
            if self.mark is not None:
                access.remember(session, self.mark, _to_store(answer))
        self.services.wake_worker()
        return response

    def answered(self) -> Response | None:
        """The answer that this request had before, if any: for what asks somebody else before its `command`."""
        if self.mark is None:
            return None
        with self.session() as session:
            stored = access.peek(session, self.mark)
        return _replayed(stored) if stored is not None else None

    def _recalled(self, session: Session) -> StoredAnswer | None:
        return access.recall(session, self.mark) if self.mark is not None else None


class Authorized:
    """The dependency that turns a bearer token into a `Caller` with one scope (None: any token is enough)."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Authenticate, ask for the scope, and bind who it is to the log lines of this request."""
        services: ApiServices = request.app.state.services
        principal = await run_in_threadpool(access.authenticate, services.database, bearer_of(request))
        context = Context(
            tenant_id=principal.tenant_id,
            actor=principal.actor,
            correlation_id=new_uuid(),
            request_id=request.state.request_id,
        )
        structlog.contextvars.bind_contextvars(
            tenant_id=str(context.tenant_id), actor=context.actor, correlation_id=str(context.correlation_id)
        )
        if self.scope is not None:
            request.state.scope_needed = self.scope.value
            access.require(principal, self.scope)
        mark = await _mark(request, principal) if request.method == "POST" else None
        return Caller(services, principal, context, mark)


def bearer_of(request: Request) -> str:
    """The text of the token that a request carries. Raises Unauthenticated if it carries none."""
    header = request.headers.get("authorization", "")
    if header[: len(BEARER)].lower() != BEARER:
        raise access.refused()
    return header[len(BEARER) :].strip()


async def _mark(request: Request, principal: Principal) -> RequestMark | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(key):
        fault = Fault(path="header.Idempotency-Key", value=ascii(key[:80]), rule="1 to 255 visible ASCII characters")
        raise Invalid("request.header", f"{fault.path} must have {fault.rule}.", faults=(fault,))
    path, query = str(request.scope["path"]), bytes(request.scope["query_string"])
    body = await request.body()
    digest = hashlib.sha256(b"\0".join((request.method.encode(), path.encode(), query, body))).digest()
    return RequestMark(principal.token_id, key, request.method, path, digest)


def _replayed(stored: StoredAnswer) -> Response:
    headers = {**stored.headers, REPLAYED: "true"}
    return Response(stored.body, stored.status, headers=headers, media_type=MEDIA_TYPE)


def _to_store(answer: Answer) -> StoredAnswer:
    body = answer.body if answer.remembered is None else answer.remembered
    return StoredAnswer(answer.status, json_bytes(body), dict(answer.headers))


AnyCaller = Annotated[Caller, Depends(Authorized(None))]
CatalogRead = Annotated[Caller, Depends(Authorized(Scope.CATALOG_READ))]
ConnectorsWrite = Annotated[Caller, Depends(Authorized(Scope.CONNECTORS_WRITE))]
ChangesRead = Annotated[Caller, Depends(Authorized(Scope.CHANGES_READ))]
ChangesWrite = Annotated[Caller, Depends(Authorized(Scope.CHANGES_WRITE))]
ChangesApprove = Annotated[Caller, Depends(Authorized(Scope.CHANGES_APPROVE))]
ChangesApply = Annotated[Caller, Depends(Authorized(Scope.CHANGES_APPLY))]
ChangesRollback = Annotated[Caller, Depends(Authorized(Scope.CHANGES_ROLLBACK))]
AuditRead = Annotated[Caller, Depends(Authorized(Scope.AUDIT_READ))]
TokensWrite = Annotated[Caller, Depends(Authorized(Scope.TOKENS_WRITE))]
SubscriptionsWrite = Annotated[Caller, Depends(Authorized(Scope.SUBSCRIPTIONS_WRITE))]
