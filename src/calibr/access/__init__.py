"""Tenants, users, tokens and scopes: who may do what. Also the keys that make a repeated request harmless."""

from calibr.access.authentication import authenticate, refused, require
from calibr.access.idempotency import forget_old_keys, peek, recall, remember
from calibr.access.model import MintedToken, NewTenant, NewToken, Principal, RequestMark, StoredAnswer, Token, User
from calibr.access.scopes import ROLE_SCOPES, Scope, UserRole, in_order
from calibr.access.service import (
    MAX_EXPIRY_DAYS,
    checked_name,
    create_tenant,
    create_user,
    list_tokens,
    list_users,
    mint_token,
    revoke_token,
)
from calibr.access.token_text import TOKEN_PATTERN

__all__ = [
    "MAX_EXPIRY_DAYS",
    "ROLE_SCOPES",
    "TOKEN_PATTERN",
    "MintedToken",
    "NewTenant",
    "NewToken",
    "Principal",
    "RequestMark",
    "Scope",
    "StoredAnswer",
    "Token",
    "User",
    "UserRole",
    "authenticate",
    "checked_name",
    "create_tenant",
    "create_user",
    "forget_old_keys",
    "in_order",
    "list_tokens",
    "list_users",
    "mint_token",
    "peek",
    "recall",
    "refused",
    "remember",
    "require",
    "revoke_token",
]
