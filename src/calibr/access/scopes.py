"""Scopes and roles: a scope is one right of a token, a role is the most that the tokens of a user may get."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Scope(StrEnum):
    """One right of a token. Every operation of the API asks for exactly one."""

    CATALOG_READ = "catalog:read"
    CONNECTORS_WRITE = "connectors:write"
    CHANGES_READ = "changes:read"
    CHANGES_WRITE = "changes:write"
    CHANGES_APPROVE = "changes:approve"
    CHANGES_APPLY = "changes:apply"
    CHANGES_ROLLBACK = "changes:rollback"
    AUDIT_READ = "audit:read"
    TOKENS_WRITE = "tokens:write"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"


class UserRole(StrEnum):
    """What a user is for. Writing a change and approving it are different roles."""

    VIEWER = "viewer"
    AUTHOR = "author"
    APPROVER = "approver"
    ADMIN = "admin"


_READ: Final = frozenset({Scope.CATALOG_READ, Scope.CHANGES_READ})

ROLE_SCOPES: Final = MappingProxyType({
    UserRole.VIEWER: _READ,
    UserRole.AUTHOR: _READ | {Scope.CONNECTORS_WRITE, Scope.CHANGES_WRITE},
    UserRole.APPROVER: _READ
    | {Scope.CHANGES_APPROVE, Scope.CHANGES_APPLY, Scope.CHANGES_ROLLBACK, Scope.AUDIT_READ},
    UserRole.ADMIN: frozenset(Scope),
})  # fmt: skip


def in_order(scopes: frozenset[Scope]) -> list[Scope]:
    """The scopes in the order of their definition, for texts and stored lists."""
    return [scope for scope in Scope if scope in scopes]
