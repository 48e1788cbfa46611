"""`POST /admin/api/{version}/graphql.json`: token, version, price, throttle, execution, the answer's frame."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import ExecutionResult, GraphQLSchema, execute_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from calibr_sandbox.access import BAD_TOKEN, Access, Caller
from calibr_sandbox.broken_answers import drop_connection, send_half, send_slowly
from calibr_sandbox.bulk import BulkOperations
from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import MAX_QUERY_COST, PLANS, SandboxConfig
from calibr_sandbox.context import RequestContext
from calibr_sandbox.cost import actual_cost, requested_cost
from calibr_sandbox.documents import Document, DocumentCache, RefusedDocumentError
from calibr_sandbox.errors import (
    ErrorBody,
    InputTooLargeError,
    InvalidGlobalIdError,
    max_cost_exceeded,
    throttled,
    translate,
)
from calibr_sandbox.faults import Fault, FaultKind, Faults
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.staged_uploads import StagedUploads
from calibr_sandbox.stats import Stats
from calibr_sandbox.store import Store
from calibr_sandbox.throttle import Bucket
from calibr_sandbox.variant_writes import Writer
from calibr_sandbox.versions import served_version
from calibr_sandbox.webhooks import Webhooks

_DEPRECATED: Final = "https://shopify.dev/api/usage/versioning#deprecation-practices"
_MAX_BODY: Final = 5_000_000
_MAX_HEADER: Final = 120
_WHOLE: Final = (InvalidGlobalIdError, InputTooLargeError)


@dataclass(slots=True)
class Shop:
    """Everything the endpoint works on. The event loop owns the mutable parts."""

    config: SandboxConfig
    store: Store
    schema: GraphQLSchema
    bulk: BulkOperations
    staged: StagedUploads
    webhooks: Webhooks
    faults: Faults
    access: Access
    clock: SandboxClock
    stats: Stats = field(default_factory=Stats)
    buckets: dict[str, Bucket] = field(default_factory=dict)

    def bucket(self, name: str) -> Bucket:
        """Return the bucket of an app, by the name that its callers have."""
        if name not in self.buckets:
            self.buckets[name] = Bucket(PLANS[self.config.plan], self.clock, self.clock.factor)
        return self.buckets[name]


class GraphQLEndpoint:
    """The ASGI application behind the one URL of the API."""

    def __init__(self, shop: Shop) -> None:
        """Serve this shop."""
        self._shop = shop
        self._documents = DocumentCache(shop.schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, or cut the connection when a fault says so."""
        request = Request(scope, receive)
        call = _Call(self._shop, self._documents, request)
        response = await call.answer()
        if response is None:
            await drop_connection(scope)
        elif call.fault is not None and call.fault.kind is FaultKind.TRUNCATE:
            await send_half(response, scope, send)
        elif call.fault is not None and call.fault.kind is FaultKind.SLOW_BODY:
            await send_slowly(response, send, call.fault.delay_s)
        else:
            await response(scope, receive, send)


class _Call:
    """One call on its way through the stages."""

    def __init__(self, shop: Shop, documents: DocumentCache, request: Request) -> None:
        self._shop = shop
        self._documents = documents
        self._request = request
        self._headers = {"X-Request-Id": secrets.token_hex(8)}
        self.fault: Fault | None = None

    async def answer(self) -> Response | None:
        """Return the response; None stands for a cut connection."""
        stats = self._shop.stats
        stats.calls += 1
        caller = self._shop.access.caller(self._request.headers.get("x-shopify-access-token", ""))
        if caller is None:
            stats.unauthorized += 1
            return self._json({"errors": BAD_TOKEN}, status=401)
        version = served_version(self._request.path_params["version"], self._shop.config.oldest_version)
        if version is None:
            return self._json({"errors": "Not Found"}, status=404)
        self._headers["X-Shopify-API-Version"] = version
        body = await self._request.body()
        try:
            query, sent, operation = _parse_body(body)
            document = self._documents.prepare(query, operation)
            variables = document.complete(sent)
            document.check_sizes(variables)
            self._documents.check_types(document, variables)
        except _BadBodyError as error:
            return self._json({"errors": {"query": str(error)}}, status=400)
        except RefusedDocumentError as error:
            return self._json({"errors": error.errors})
        if document.uses_deprecated:
            self._headers["X-Shopify-API-Deprecated-Reason"] = _DEPRECATED
        self.fault = self._shop.faults.pick(is_mutation=document.is_mutation, operation=operation)
        await self._wait(FaultKind.DELAY_BEFORE)
        prepared = _Prepared(document, variables, operation, _writer(self._request.headers), caller)
        response = self._run(self._shop.bucket(caller.bucket), prepared)
        await self._wait(FaultKind.DELAY_AFTER)
        return response

    async def _wait(self, kind: FaultKind) -> None:
        if self.fault is not None and self.fault.kind is kind:
            await asyncio.sleep(self.fault.delay_s)

    def _run(self, bucket: Bucket, prepared: "_Prepared") -> Response | None:
        fault = self.fault
        kind = None if fault is None else fault.kind
        if kind is FaultKind.DROP_BEFORE:
            return None
        if fault is not None and kind is FaultKind.TOO_MANY_REQUESTS:
            self._headers["Retry-After"] = str(float(fault.rule.retry_after_s))
            return self._json({"errors": "Exceeded 2 calls per second for api client."}, status=429)
        if kind is FaultKind.SERVER_ERROR:
            return self._json({"errors": "Service Unavailable"}, status=503)
        requested = requested_cost(prepared.document.plan, prepared.variables)
        if requested > MAX_QUERY_COST:
            self._shop.stats.over_cost += 1
            return self._json({"errors": [max_cost_exceeded(requested, MAX_QUERY_COST)]})
        if kind is FaultKind.THROTTLE or not bucket.take(requested):
            self._shop.stats.throttled += 1
            return self._json({"errors": [throttled()], **_extensions(bucket, requested, None)})
        response = self._execute(bucket, prepared, requested)
        return None if kind is FaultKind.DROP_AFTER else response

    def _execute(self, bucket: Bucket, prepared: "_Prepared", requested: int) -> Response:
        shop = self._shop
        base_url = str(self._request.base_url).rstrip("/")
        shown = ShopContext(shop.config, shop.store, base_url, prepared.caller.scopes)
        context = RequestContext(
            shown,
            shop.store,
            shop.bulk,
            shop.staged,
            shop.webhooks,
            prepared.writer,
            shop.webhooks.products_changed,
            self._headers["X-Shopify-API-Version"],
        )
        result = execute_sync(
            shop.schema,
            prepared.document.ast,
            context_value=context,
            variable_values=prepared.variables,
            operation_name=prepared.operation,
        )
        shop.stats.mutations += prepared.document.is_mutation
        refused = _refused_as_a_whole(result)
        if refused:
            bucket.refund(requested)
            return self._json({"errors": refused})
        actual = actual_cost(prepared.document.plan, prepared.variables, result.data)
        bucket.refund(requested - actual)
        shop.stats.points_spent += actual
        return self._json(_body(result) | _extensions(bucket, requested, actual))

    def _json(self, body: dict[str, Any], *, status: int = 200) -> Response:
        content = orjson.dumps(body)
        return Response(content, status, self._headers, "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document with what it runs on."""

    document: Document
    variables: dict[str, Any]
    operation: str | None
    writer: Writer
    caller: Caller


def _writer(headers: Headers) -> Writer:
    """Who calls, as the journal tells it: a fingerprint of the token, and what the client says of itself."""
    token = headers.get("x-shopify-access-token", "")
    fingerprint = hashlib.sha256(token.encode()).hexdigest()[:8]
    agent, request_id, named = (headers.get(name) for name in ("user-agent", "x-request-id", "calibr-writer"))
    return Writer(
        source="api",
        who=f"api {fingerprint} {(agent or '')[:_MAX_HEADER]}".strip(),
        request_id=request_id and request_id[:_MAX_HEADER],
        writer=named and named[:_MAX_HEADER],
    )


class _BadBodyError(ValueError):
    """The request body is no GraphQL request."""


def _parse_body(body: bytes) -> tuple[str, dict[str, Any], str | None]:
    if len(body) > _MAX_BODY:
        raise _BadBodyError(f"the body has {len(body)} bytes; at most {_MAX_BODY} are taken")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _BadBodyError(f"the body is not JSON: {error}") from error
    query = parsed.get("query") if isinstance(parsed, dict) else None
    if not isinstance(query, str):
        raise _BadBodyError("Required parameter missing or invalid")
    variables = parsed.get("variables") or {}
    if not isinstance(variables, dict):
        raise _BadBodyError("variables must be an object")
    operation = parsed.get("operationName")
    if operation is not None and not isinstance(operation, str):
        raise _BadBodyError("operationName must be text")
    return query, variables, operation


def _refused_as_a_whole(result: ExecutionResult) -> list[ErrorBody]:
    """Errors that Shopify answers without `data`: bad variables, text that is no global id."""
    errors = result.errors or []
    if result.data is None and errors and all(error.path is None for error in errors):
        return [translate(error) for error in errors]
    return [translate(error) for error in errors if isinstance(error.original_error or error, _WHOLE)]


def _body(result: ExecutionResult) -> dict[str, Any]:
    if not result.errors:
        return {"data": result.data}
    return {"errors": [translate(error) for error in result.errors], "data": result.data}


def _extensions(bucket: Bucket, requested: int, actual: int | None) -> dict[str, Any]:
    status = bucket.status()
    throttle = {
        "maximumAvailable": status.maximum_available,
        "currentlyAvailable": status.currently_available,
        "restoreRate": status.restore_rate,
    }
    cost = {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": throttle}
    return {"extensions": {"cost": cost}}
