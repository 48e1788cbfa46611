"""The caller, users and tokens."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.responses import Response

from calibr import access
from calibr.access import MAX_EXPIRY_DAYS, NewToken, Scope, UserRole
from calibr.core.ids import TokenId, UserId
from calibr.db import Session
from calibr.http.answer import Answer, created
from calibr.http.body import JsonBody, RequestModel, Text
from calibr.http.caller import AnyCaller, TokensWrite
from calibr.http.pagination import DEFAULT_LIMIT, After, Keyset, Limit, Page
from calibr.http.views import tenancy as views

router = APIRouter(prefix="/v1", tags=["access"])
USERS = Keyset("users", (UUID,))
TOKENS = Keyset("tokens", (UUID,))


class NewUser(RequestModel):
    """A user to add."""

    name: Text = Field(min_length=1, max_length=200)
    role: UserRole


class TokenRequest(RequestModel):
    """A token to make."""

    name: Text = Field(min_length=1, max_length=200, description="What it is for.")
    user_id: UUID | None = Field(default=None, description="Whose token; left out: your own.")
    scopes: frozenset[Scope] | None = Field(
        default=None, description="At most those of your token and of the user's role; left out: all of these."
    )
    expires_in_days: int = Field(default=90, ge=1, le=MAX_EXPIRY_DAYS)


@router.get("/me", summary="Who am I?", operation_id="get_me", responses={200: {"model": views.Me}})
def get_me(caller: AnyCaller) -> Response:
    """The tenant, the user and the scopes of the token. Any valid token may ask."""
    return Answer(views.me(caller.principal)).response()


@router.post(
    "/users",
    summary="Add a user",
    operation_id="create_user",
    status_code=201,
    responses={201: {"model": views.UserView}},
)
def create_user(caller: TokensWrite, body: Annotated[NewUser, Depends(JsonBody(NewUser))]) -> Response:
    """Names are unique in a tenant. A user does nothing until they have a token."""

    def work(session: Session) -> Answer:
        user = access.create_user(session, name=body.name, role=body.role)
        return created(views.user(user), f"/v1/users/{user.id}")

    return caller.command(work)


@router.get("/users", summary="List users", operation_id="list_users", responses={200: {"model": Page[views.UserView]}})
def list_users(caller: TokensWrite, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Oldest first."""
    start = UserId(USERS.first(after)) if after is not None else None
    with caller.session() as session:
        users = access.list_users(session, after=start, limit=limit + 1)
    return Answer(USERS.page(users, limit, view=views.user, key=lambda user: (user.id,))).response()


@router.post(
    "/tokens",
    summary="Make a token",
    operation_id="create_token",
    status_code=201,
    responses={201: {"model": views.MintedTokenView}},
)
def create_token(caller: TokensWrite, body: Annotated[TokenRequest, Depends(JsonBody(TokenRequest))]) -> Response:
    """The text of the token is in this answer and nowhere else: keep it, or make another one."""
    wanted = NewToken(
        name=body.name,
        user_id=UserId(body.user_id) if body.user_id is not None else None,
        scopes=body.scopes,
        expires_in_days=body.expires_in_days,
    )

    def work(session: Session) -> Answer:
        made = access.mint_token(session, caller.principal, wanted)
        forgetful = views.minted(made, with_text=False)
        return created(views.minted(made, with_text=True), f"/v1/tokens/{made.token.id}", remembered=forgetful)

    return caller.command(work)


@router.get(
    "/tokens", summary="List tokens", operation_id="list_tokens", responses={200: {"model": Page[views.TokenView]}}
)
def list_tokens(caller: TokensWrite, after: After = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """Oldest first, revoked and expired ones too. The texts of tokens are not kept."""
    start = TokenId(TOKENS.first(after)) if after is not None else None
    with caller.session() as session:
        tokens = access.list_tokens(session, after=start, limit=limit + 1)
    return Answer(TOKENS.page(tokens, limit, view=views.token, key=lambda token: (token.id,))).response()


@router.delete("/tokens/{token_id}", summary="Revoke a token", operation_id="revoke_token", status_code=204)
def revoke_token(caller: TokensWrite, token_id: UUID) -> Response:
    """It is useless from this moment on. Revoking it again is harmless."""
    with caller.session() as session:
        access.revoke_token(session, TokenId(token_id))
    return Response(status_code=204)
