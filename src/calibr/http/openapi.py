"""The OpenAPI 3.1 document, completed from the dependencies of each route: scope, body, headers, problems."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from calibr.access import TOKEN_PATTERN
from calibr.http.body import JsonBody, SignedBody
from calibr.http.caller import Authorized
from calibr.http.precondition import IfMatch
from calibr.http.problem import MEDIA_TYPE, Problem

REF: Final = "#/components/schemas/{model}"
SCHEME: Final = "bearer"

PROBLEMS: Final = {
    400: "The request cannot be read: malformed JSON, a parameter or a cursor of the wrong form.",
    401: "No valid bearer token, or no valid signature.",
    403: "The token lacks the scope, or the rules forbid it to this user.",
    404: "There is no such thing in this tenant.",
    409: "The current state does not allow this, or a request with the same idempotency key is still in work.",
    412: "The thing has changed since it was read: `If-Match` names another revision.",
    413: "The body is too long.",
    415: "The body is not application/json.",
    422: "The body breaks a rule; `faults` has the path, the value and the rule.",
    428: "`If-Match` is needed.",
    500: "Something broke in Calibr; its log has more under the request id.",
    503: "The database does not answer.",
}

IDEMPOTENCY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "description": "Makes a repeat of this request harmless: it is answered as the first one was, with "
    "`Idempotent-Replayed: true`. Kept for 30 days. Without it a repeat is a second request.",
}
IF_MATCH_HEADER: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The `ETag` of what was read, so that nobody's edit is overwritten.",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made on first use and kept."""
    if app.openapi_schema is None:
        app.openapi_schema = _complete(app)
    return app.openapi_schema


def scope_of(route: APIRoute) -> str | None:
    """The scope that a route asks for, `token` if any token will do, None if it is public."""
    found = next((call for call in _dependencies(route.dependant) if isinstance(call, Authorized)), None)
    if found is None:
        return None
    return found.scope.value if found.scope is not None else "token"


def api_routes(app: FastAPI) -> list[APIRoute]:
    """All operations, as their routers hold them: the application keeps included routers as wholes."""
    return [route for router in app.state.routers for route in router.routes if isinstance(route, APIRoute)]


def _complete(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    components["Problem"] = _problem_schema(components)
    schema["components"]["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "bearer", "description": f"A token of the form `{TOKEN_PATTERN}`."}
    }
    for route in api_routes(app):
        for method in route.methods or ():
            _complete_operation(schema["paths"][route.path_format][method.lower()], route, components)
    return schema


def _complete_operation(operation: dict[str, Any], route: APIRoute, components: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)  # FastAPI's own form of validation errors, which never leaves
    scope, method = scope_of(route), next(iter(route.methods or ()))
    statuses = {500, 503} if route.path.startswith("/v1/") else {500}
    if scope is not None:
        operation["security"] = [{SCHEME: [] if scope == "token" else [scope]}]
        operation["x-calibr-scope"] = scope
        statuses |= {400, 401, 403}
    if "{" in route.path:
        statuses.add(404)
    if method in {"POST", "PATCH", "DELETE"} and scope is not None:
        statuses.add(409)
    for call in _dependencies(route.dependant):
        if isinstance(call, JsonBody):
            operation["requestBody"] = _body(call, components)
            statuses |= {413, 415, 422}
        if isinstance(call, SignedBody):
            statuses |= {401, 413, 422}
        if isinstance(call, IfMatch):
            operation.setdefault("parameters", []).append(IF_MATCH_HEADER)
            statuses |= {412, 428}
    if method == "POST" and scope is not None:
        operation.setdefault("parameters", []).append(IDEMPOTENCY_HEADER)
    for status in sorted(statuses):
        operation["responses"].setdefault(str(status), _problem_answer(status))


def _body(body: JsonBody[Any], components: dict[str, Any]) -> dict[str, Any]:
    _, definitions = models_json_schema([(body.model, "validation")], ref_template=REF)
    for name, found in definitions.get("$defs", {}).items():
        components.setdefault(name, found)
    content = {"application/json": {"schema": {"$ref": REF.format(model=body.model.__name__)}}}
    return {"required": body.is_required, "content": content}


def _problem_answer(status: int) -> dict[str, Any]:
    return {
        "description": PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
    }


def _problem_schema(components: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(Problem).json_schema(ref_template=REF, mode="serialization")
    components.update(schema.pop("$defs", {}))
    return schema


def _dependencies(dependant: Dependant) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from _dependencies(child)
