from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from calibr.access import (
    ROLE_SCOPES,
    NewTenant,
    NewToken,
    Principal,
    Scope,
    User,
    UserRole,
    authenticate,
    create_tenant,
    create_user,
    list_tokens,
    mint_token,
    require,
    revoke_token,
)
from calibr.core.errors import CalibrError, Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from calibr.core.ids import TokenId, UserId, new_uuid
from calibr.db import Context, Database, Session
from calibr.events import list_audit


@dataclass(frozen=True)
class Household:
    """A tenant with its admin signed in."""

    database: Database
    made: NewTenant
    admin: Principal

    @contextmanager
    def session(self) -> Iterator[Session]:
        context = Context(self.made.tenant_id, self.admin.actor, new_uuid())
        with self.database.session(context) as session:
            yield session

    def user(self, role: UserRole, name: str = "Ada") -> User:
        with self.session() as session:
            return create_user(session, name=name, role=role)

    def token(self, creator: Principal | None = None, **wanted: Any) -> str:  # noqa: ANN401
        with self.session() as session:
            return mint_token(session, creator or self.admin, NewToken("test", **wanted)).text.reveal()

    def events(self) -> list[str]:
        with self.session() as session:
            return [entry.action for entry in list_audit(session)]


@pytest.fixture
def house(database: Database) -> Household:
    made = create_tenant(database, name="Shoes Ltd", admin_name="Root")
    return Household(database, made, authenticate(database, made.token.reveal()))


def test_a_new_tenant_has_an_admin_a_token_and_its_story(house: Household) -> None:
    assert house.admin.role == UserRole.ADMIN
    assert house.admin.scopes == frozenset(Scope)
    assert house.admin.tenant_name == "Shoes Ltd"
    assert house.made.tenant_id in house.database.directory()
    assert house.events() == ["tenant.created", "user.created", "token.created"]


def test_a_tenant_that_cannot_be_made_leaves_nothing(database: Database) -> None:
    before = database.directory()

    with pytest.raises(Invalid, match=r"\$.admin_name"):
        create_tenant(database, name="Shoes Ltd", admin_name=" ")

    assert database.directory() == before


@pytest.mark.parametrize("role", UserRole)
def test_a_token_gets_what_the_role_allows_and_no_more(house: Household, role: UserRole) -> None:
    text_ = house.token(user_id=house.user(role).id)

    assert authenticate(house.database, text_).scopes == ROLE_SCOPES[role]


@pytest.mark.parametrize(
    ("role", "wanted", "named"),
    [
        (UserRole.AUTHOR, {Scope.CHANGES_READ, Scope.CHANGES_APPROVE}, "changes:approve"),
        (UserRole.VIEWER, {Scope.TOKENS_WRITE}, "tokens:write"),
    ],
)
def test_scopes_beyond_the_role_are_refused_by_name(
    house: Household, role: UserRole, wanted: set[Scope], named: str
) -> None:
    user = house.user(role)

    with pytest.raises(Forbidden, match=named):
        house.token(user_id=user.id, scopes=frozenset(wanted))

    assert house.events()[-1] == "user.created"


def test_a_token_cannot_mint_wider_than_itself(house: Household) -> None:
    narrow_scopes = frozenset({Scope.TOKENS_WRITE, Scope.CHANGES_READ})
    narrow = authenticate(house.database, house.token(scopes=narrow_scopes))

    with pytest.raises(Forbidden, match="changes:approve"):
        house.token(narrow, scopes=frozenset({Scope.CHANGES_APPROVE}))

    assert authenticate(house.database, house.token(narrow)).scopes == narrow_scopes


def test_a_lowered_role_lowers_the_tokens_that_exist(house: Household) -> None:
    user = house.user(UserRole.APPROVER)
    text_ = house.token(user_id=user.id)
    with house.session() as session:
        session.execute(text("update calibr.app_user set role = 'viewer' where id = :id"), {"id": user.id})

    scopes = authenticate(house.database, text_).scopes

    assert scopes == ROLE_SCOPES[UserRole.VIEWER]


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_token_lives_a_year_at_most(house: Household, days: int) -> None:
    with pytest.raises(Invalid, match=f"expires_in_days is {days}: a token lives from 1 to 365 days"):
        house.token(expires_in_days=days)


def test_only_the_hash_of_the_secret_is_stored(house: Household) -> None:
    text_ = house.token()
    secret = text_.rsplit("_", 1)[1][:43]
    with house.session() as session:
        rows = session.execute(text("select t::text, encode(secret_hash, 'escape') from calibr.token t")).all()
        log = session.execute(text("select convert_from(body, 'UTF8') from calibr.event")).scalars().all()

    assert secret not in repr(rows)
    assert secret not in repr(log)


def spoil(house: Household, change: str, text_: str) -> str:
    with house.session() as session:
        session.execute(text(change))
    return text_


@pytest.mark.parametrize(
    "change",
    [
        "update calibr.token set expires_at = now() - interval '1 second'",
        "update calibr.token set revoked_at = now()",
        "update calibr.app_user set disabled_at = now()",
        "update calibr.token set secret_hash = sha256('other')",
    ],
)
def test_every_refusal_looks_the_same(house: Household, change: str) -> None:
    text_ = house.token()
    unknown = house.token()
    with pytest.raises(Unauthenticated) as for_noise:
        authenticate(house.database, "noise")

    with pytest.raises(Unauthenticated) as refused:
        authenticate(house.database, spoil(house, change, text_))

    assert refused.value.message == for_noise.value.message
    assert refused.value.code == for_noise.value.code
    assert unknown not in refused.value.message


def test_a_token_of_nobody_is_refused_like_any_other(house: Household) -> None:
    parts = house.made.token.reveal().split("_")
    stranger = house.token().split("_")
    swapped = "_".join([*parts[:3], stranger[3], parts[4]])

    with pytest.raises(Unauthenticated):
        authenticate(house.database, swapped)


def test_revoking_ends_a_token_at_once_and_only_once(house: Household) -> None:
    text_ = house.token()
    token_id = authenticate(house.database, text_).token_id

    for _ in range(2):
        with house.session() as session:
            revoke_token(session, token_id)

    with pytest.raises(Unauthenticated):
        authenticate(house.database, text_)
    assert house.events().count("token.revoked") == 1


def test_a_name_is_given_once(house: Household) -> None:
    house.user(UserRole.AUTHOR, "Ada")

    with pytest.raises(Conflict, match="'Ada'"):
        house.user(UserRole.VIEWER, "Ada")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "a\u202eb", "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused(house: Household, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        house.user(UserRole.VIEWER, name)

    assert refused.value.faults[0].path == "$.name"


def test_a_disabled_user_gets_no_token(house: Household) -> None:
    user = house.user(UserRole.AUTHOR)
    spoil(house, "update calibr.app_user set disabled_at = now() where role = 'author'", "")

    with pytest.raises(Conflict, match="disabled"):
        house.token(user_id=user.id)


@pytest.mark.parametrize("act", ["mint", "revoke"])
def test_things_of_another_tenant_do_not_exist(house: Household, database: Database, act: str) -> None:
    other = create_tenant(database, name="Other", admin_name="Root")
    stranger = authenticate(database, other.token.reveal())

    def attempt(session: Session, user: UserId, token: TokenId) -> None:
        if act == "mint":
            mint_token(session, house.admin, NewToken("x", user_id=user))
        else:
            revoke_token(session, token)

    messages = []
    for user, token in ((stranger.user_id, stranger.token_id), (UserId(new_uuid()), TokenId(new_uuid()))):
        with pytest.raises(NotFound) as refused, house.session() as session:
            attempt(session, user, token)
        messages.append(refused.value.message.replace(str(user), "ID").replace(str(token), "ID"))
    assert messages[0] == messages[1]
    assert authenticate(database, other.token.reveal()) == stranger


def test_use_is_noted_at_most_once_a_minute(house: Household) -> None:
    text_ = house.token()
    token_id = authenticate(house.database, text_).token_id

    def seen() -> object:
        with house.session() as session:
            return next(t for t in list_tokens(session, after=None, limit=50) if t.id == token_id).last_used_at

    first = seen()
    authenticate(house.database, text_)
    second = seen()
    spoil(house, "update calibr.token set last_used_at = now() - interval '61 seconds'", "")
    authenticate(house.database, text_)

    assert first is not None
    assert second == first
    assert seen() != first


def test_a_missing_scope_is_named(house: Household) -> None:
    viewer = replace(house.admin, scopes=ROLE_SCOPES[UserRole.VIEWER])

    with pytest.raises(CalibrError, match="changes:write"):
        require(viewer, Scope.CHANGES_WRITE)
