"""Top-level GraphQL errors in Shopify's words, and the translation of graphql-core's into them."""

import logging
import re
from typing import Any, Final

from graphql import GraphQLError, GraphQLSyntaxError

from calibr_sandbox.syntax_words import syntax_words

_UNKNOWN_FIELD: Final = re.compile(r"Cannot query field '(?P<field>\w+)' on type '(?P<type>\w+)'")
_VARIABLE: Final = re.compile(r"Variable '\$(?P<name>\w+)' (?P<rest>.*)", re.DOTALL)

_LOG: Final = logging.getLogger("calibr_sandbox")

ErrorBody = dict[str, Any]
"""One entry of `errors` in a response."""


class BadRequestError(GraphQLError):
    """The arguments of a field do not make sense together."""

    def __init__(self, message: str) -> None:
        """State what is wrong."""
        super().__init__(message, extensions={"code": "BAD_REQUEST"})


class ResourceNotFoundError(GraphQLError):
    """A global id of another type than the field takes."""

    def __init__(self, gid: str) -> None:
        """Name the id."""
        super().__init__(f"Invalid id: {gid}", extensions={"code": "RESOURCE_NOT_FOUND"})


class AccessDeniedError(GraphQLError):
    """The token lacks a scope."""

    def __init__(self, field: str, required: str) -> None:
        """Name the field and the access that it needs, in Shopify's words."""
        documentation = "https://shopify.dev/api/usage/access-scopes"
        extensions = {"code": "ACCESS_DENIED", "documentation": documentation, "requiredAccess": required}
        super().__init__(f"Access denied for {field} field. Required access: {required}", extensions=extensions)


class NoIdDefinitionError(GraphQLError):
    """A custom id was asked for, and no metafield of the shop is one."""

    def __init__(self) -> None:
        """State what is missing, in Shopify's words."""
        message = "Metafield definition of type 'id' is required when using custom ids."
        super().__init__(message, extensions={"code": "NOT_FOUND"})


class InvalidGlobalIdError(GraphQLError):
    """Text that is no global id at all. Shopify refuses the whole request, without `data`."""

    def __init__(self, text: str) -> None:
        """Name the text."""
        extensions = {"code": "argumentLiteralsIncompatible", "typeName": "CoercionError"}
        super().__init__(f"Invalid global id '{text}'", extensions=extensions)


class InputTooLargeError(GraphQLError):
    """A list inside of an input is longer than Shopify takes. It refuses the whole request, without `data`."""

    def __init__(self, size: int, cap: int, path: list[str]) -> None:
        """Say how long the list is, and how long it may be."""
        body = input_too_large(size, cap, path)
        super().__init__(body["message"], extensions=body["extensions"])


def translate(error: GraphQLError) -> ErrorBody:
    """Write an error of parsing, validating or executing as Shopify does."""
    if isinstance(error, GraphQLSyntaxError):
        text = error.source.body if error.source else ""
        return _with(error, syntax_words(text, error), {"code": "PARSE_ERROR"})
    unknown = _UNKNOWN_FIELD.match(error.message)
    if unknown:
        message = f"Field '{unknown['field']}' doesn't exist on type '{unknown['type']}'"
        codes = {"code": "undefinedField", "typeName": unknown["type"], "fieldName": unknown["field"]}
        return _with(error, message, codes)
    variable = _VARIABLE.match(error.message)
    if variable:
        message = f"Variable ${variable['name']} was provided invalid value ({variable['rest']})"
        return _with(error, message, {"code": "INVALID_VARIABLE"})
    if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        _LOG.error("a resolver failed", exc_info=error.original_error)
        message = "Internal error. Looks like something went wrong on our end."
        return _with(error, message, {"code": "INTERNAL_SERVER_ERROR"})
    return _with(error, error.message, error.extensions or {"code": "graphqlValidation"})


def _with(error: GraphQLError, message: str, extensions: dict[str, Any]) -> ErrorBody:
    body: ErrorBody = {"message": message}
    if error.locations:
        body["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    body["extensions"] = extensions
    if error.path:
        body["path"] = error.path
    return body


def throttled() -> ErrorBody:
    """The bucket does not hold the requested cost."""
    documentation = "https://shopify.dev/api/usage/rate-limits"
    return {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": documentation}}


def max_cost_exceeded(cost: int, cap: int) -> ErrorBody:
    """The requested cost of one query is above the cap of every plan."""
    message = f"Query cost is {cost}, which exceeds the single query max cost limit ({cap})."
    return {"message": message, "extensions": {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": cap}}


def input_too_large(size: int, cap: int, path: list[str]) -> ErrorBody:
    """A list argument is longer than Shopify takes."""
    message = f"The input array size of {size} is greater than the maximum allowed of {cap}."
    return {"message": message, "path": path, "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"}}
