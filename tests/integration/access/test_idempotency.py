import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from calibr.access import (
    NewTenant,
    RequestMark,
    StoredAnswer,
    UserRole,
    authenticate,
    create_tenant,
    create_user,
    forget_old_keys,
    recall,
    remember,
)
from calibr.core.errors import Conflict, Invalid
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, Role

ANSWER = StoredAnswer(201, b'{"id":1}', {"Location": "/v1/x"})


@pytest.fixture
def made(database: Database) -> NewTenant:
    return create_tenant(database, name="Shoes Ltd", admin_name="Root")


@pytest.fixture
def context(made: NewTenant) -> Context:
    return Context(made.tenant_id, f"user:{made.user_id}", new_uuid())


@pytest.fixture
def mark(database: Database, made: NewTenant) -> RequestMark:
    token_id = authenticate(database, made.token.reveal()).token_id
    return RequestMark(token_id, "key-1", "POST", "/v1/users", b"h" * 32)


def test_the_first_answer_is_given_again(database: Database, context: Context, mark: RequestMark) -> None:
    with database.session(context) as session:
        assert recall(session, mark) is None
        remember(session, mark, ANSWER)

    with database.session(context) as session:
        assert recall(session, mark) == ANSWER


def test_another_request_under_the_key_is_refused(database: Database, context: Context, mark: RequestMark) -> None:
    with database.session(context) as session:
        recall(session, mark)
        remember(session, mark, ANSWER)

    with pytest.raises(Invalid, match="belongs to another request"), database.session(context) as session:
        recall(session, replace(mark, request_hash=b"x" * 32))


def test_a_failed_request_leaves_no_key_and_no_change(database: Database, context: Context, mark: RequestMark) -> None:
    with pytest.raises(Conflict), database.session(context) as session:  # noqa: PT012 - the second one is refused
        recall(session, mark)
        create_user(session, name="Ada", role=UserRole.VIEWER)
        create_user(session, name="Ada", role=UserRole.VIEWER)

    with database.session(context) as session:
        assert recall(session, mark) is None
        assert create_user(session, name="Ada", role=UserRole.VIEWER).name == "Ada"


def test_a_key_of_one_token_is_free_for_another_tenant(database: Database, context: Context, mark: RequestMark) -> None:
    with database.session(context) as session:
        recall(session, mark)
        remember(session, mark, ANSWER)
    other = create_tenant(database, name="Other", admin_name="Root")
    other_mark = replace(mark, token_id=authenticate(database, other.token.reveal()).token_id)

    with database.session(Context(other.tenant_id, "system:test", new_uuid())) as session:
        assert recall(session, other_mark) is None


def test_duplicates_at_the_same_time_change_once(database: Database, context: Context, mark: RequestMark) -> None:
    start = threading.Barrier(4)

    def request(number: int) -> StoredAnswer:
        start.wait()
        while True:
            with suppress(Conflict):  # in flight
                return attempt(number)
            time.sleep(0.005)

    def attempt(number: int) -> StoredAnswer:
        with database.session(context) as session:
            before = recall(session, mark)
            if before is not None:
                return before
            create_user(session, name=f"user {number}", role=UserRole.VIEWER)
            answer = StoredAnswer(201, str(number).encode())
            remember(session, mark, answer)
            return answer

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(request, range(4)))

    with database.session(context) as session:
        users = session.execute(text("select count(*) from calibr.app_user where role = 'viewer'")).scalar_one()
    assert users == 1
    assert len({answer.body for answer in answers}) == 1


def test_a_duplicate_in_flight_is_told_so_at_once(database: Database, context: Context, mark: RequestMark) -> None:
    with database.session(context) as first, database.session(context) as second:
        recall(first, mark)
        began = time.monotonic()
        with pytest.raises(Conflict, match="still in work") as refused:
            recall(second, mark)

    assert refused.value.retryable
    assert time.monotonic() - began < 2


def test_the_worker_forgets_keys_after_a_month(database: Database, context: Context, mark: RequestMark) -> None:
    with database.session(context) as session:
        for age in (29, 31):
            recall(session, replace(mark, key=f"{age} days"))
            moment = session.now - timedelta(days=age)
            aged = text("update calibr.idempotency set created_at = :moment where key = :key")
            session.execute(aged, {"moment": moment, "key": f"{age} days"})

    with database.session(context, role=Role.WORKER) as session:
        assert forget_old_keys(session) == 1
