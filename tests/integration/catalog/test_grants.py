"""Tokens that a store issued are asked for once, kept before they are used, and sealed."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from catalog_shop import Shop
from sqlalchemy import text

from calibr.catalog.grants import GrantKeeper
from calibr.catalog.repository_grants import lock_grant
from calibr.catalog.service import erase_connection, mark_uninstalled, replace_secrets
from calibr.connectors.port.credentials import Issued
from calibr.core.errors import Unavailable, Upstream
from calibr.db import Context, Role
from calibr.vault import Vault

VAULT = Vault(b"catalog test key, 32 bytes or more")
UNSEEN = -1
SHOW_PATIENCE = text("show idle_in_transaction_session_timeout")


@dataclass
class Issuer:
    """A store that gives a pair each time, and remembers with which refresh token it was asked."""

    lives_s: int | None = 3600
    rotates: bool = True
    asked: list[str | None] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    def __call__(self, refresh_token: str | None) -> Issued:
        self.before_answer()
        self.asked.append(refresh_token)
        number = len(self.asked)
        refresh = f"shprt_{number}" if self.rotates else None
        return Issued(f"shpat_issued{number}", self.lives_s, ("write_products",), refresh, 7_776_000)


def keeper_of(shop: Shop, vault: Vault = VAULT, *, any_state: bool = False) -> GrantKeeper:
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        return GrantKeeper(session.again, shop.connection.id, vault, any_state=any_state)


def test_nothing_is_kept_before_anything_was_issued(shop: Shop) -> None:
    assert keeper_of(shop).current() is None


def test_what_was_issued_is_there_for_every_process_and_sealed(shop: Shop) -> None:
    issuer = Issuer()

    made = keeper_of(shop).renew(UNSEEN, issuer)
    found = keeper_of(shop).current()

    assert made.access_token == "shpat_issued1"
    assert found is not None
    assert (found.access_token, found.generation, found.scopes) == ("shpat_issued1", 1, ("write_products",))
    assert found.lives_s is not None
    assert 3590 < found.lives_s <= 3600
    assert found.renew_in_s is not None
    assert found.renew_in_s == pytest.approx(found.lives_s - 300)
    stored = shop.rows("select to_jsonb(s)::text as row from calibr.secret s")
    stored += shop.rows("select to_jsonb(g)::text as row from calibr.store_grant g")
    stored += shop.rows("select convert_from(body, 'UTF8') as row from calibr.event")
    assert not [row for row in stored if "shpat_issued" in row["row"] or "shprt_" in row["row"]]
    told = shop.events("connection.token_issued")
    assert [(event["generation"], event["scopes"]) for event in told] == [(1, ["write_products"])]


def test_each_renewal_brings_the_refresh_token_of_the_one_before(shop: Shop) -> None:
    issuer = Issuer()

    for seen in (UNSEEN, 1, 2):
        keeper_of(shop).renew(seen, issuer)

    assert issuer.asked == [None, "shprt_1", "shprt_2"]


def test_many_who_saw_the_same_token_ask_the_store_once(shop: Shop) -> None:
    issuer = Issuer()
    keeper_of(shop).renew(UNSEEN, issuer)
    start = threading.Barrier(8)

    def renew(_number: int) -> str:
        keeper = keeper_of(shop)
        start.wait(10)
        return keeper.renew(1, issuer).access_token

    with ThreadPoolExecutor(8) as threads:
        got = set(threads.map(renew, range(8)))

    assert got == {"shpat_issued2"}
    assert issuer.asked == [None, "shprt_1"]


def test_whoever_asks_for_a_token_is_not_ended_for_standing_still(shop: Shop) -> None:
    """The store forgets the old refresh token when it gives a new pair: a process that was stopped must keep it."""
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        assert session.execute(SHOW_PATIENCE).scalar_one() == "1min"
        lock_grant(session, shop.connection.id)
        assert session.execute(SHOW_PATIENCE).scalar_one() == "0"


def test_a_kept_token_that_is_about_to_end_is_not_handed_on(shop: Shop) -> None:
    issuer = Issuer(lives_s=1)
    keeper_of(shop).renew(UNSEEN, issuer)
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.store_grant set expires_at = now()"))

    assert keeper_of(shop).renew(UNSEEN, issuer).generation == 2


def test_a_token_without_an_end_is_never_renewed_by_time(shop: Shop) -> None:
    made = keeper_of(shop).renew(UNSEEN, Issuer(lives_s=None, rotates=False))

    assert (made.lives_s, made.renew_in_s) == (None, None)


def test_a_refusal_keeps_the_old_pair(shop: Shop) -> None:
    issuer = Issuer()
    keeper_of(shop).renew(UNSEEN, issuer)

    def refuse(_refresh_token: str | None) -> Issued:
        raise Upstream("upstream.unauthorized", "no")

    with pytest.raises(Upstream):
        keeper_of(shop).renew(1, refuse)

    found = keeper_of(shop).current()
    assert found is not None
    assert found.generation == 1
    assert keeper_of(shop).renew(1, issuer).access_token == "shpat_issued2"
    assert issuer.asked[-1] == "shprt_1"


def test_nobody_else_is_served_while_the_answer_is_awaited(shop: Shop) -> None:
    asked, answer = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert answer.wait(20)

    slow = Issuer(before_answer=wait)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(keeper_of(shop).renew, UNSEEN, slow)
        assert asked.wait(10)
        second = threads.submit(keeper_of(shop).renew, UNSEEN, slow)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        answer.set()
        assert first.result(10).access_token == second.result(10).access_token == "shpat_issued1"

    assert len(slow.asked) == 1


def test_a_removed_app_is_not_asked_for_a_token_except_to_find_out(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session:
        mark_uninstalled(session, shop.connection.id)
    issuer = Issuer()

    with pytest.raises(Upstream) as stopped:
        keeper_of(shop).renew(UNSEEN, issuer)
    assert stopped.value.code == "connection.uninstalled"
    assert issuer.asked == []

    assert keeper_of(shop, any_state=True).renew(UNSEEN, issuer).generation == 1


def test_another_secret_ends_the_use_of_what_was_issued_for_the_old_one(shop: Shop) -> None:
    issuer = Issuer()
    keeper_of(shop).renew(UNSEEN, issuer)

    with shop.database.session(shop.tenant) as session:
        fake = {"fake": lambda _config, _secrets: shop.store}
        replace_secrets(session, shop.connection.id, {"access_token": "shpat_new"}, vault=VAULT, connectors=fake)

    found = keeper_of(shop).current()
    assert found is not None
    assert found.renew_in_s is not None
    assert found.renew_in_s < 0
    assert shop.events("connection.secrets_replaced") == [{"fields": ["access_token"]}]


def test_a_refused_connection_is_told_once_and_without_credentials(shop: Shop) -> None:
    keeper = keeper_of(shop)

    for _ in range(2):
        keeper.refused(UNSEEN, "upstream.unauthorized", "Shopify refuses shpat_abcdef0123.")

    (told,) = shop.events("connection.unauthorized")
    assert told == {"from": "active", "code": "upstream.unauthorized", "message": "Shopify refuses ***."}
    assert shop.rows("select state from calibr.connection") == [{"state": "unauthorized"}]


def test_a_worker_with_an_old_secret_says_nothing_about_the_new_one(shop: Shop) -> None:
    keeper = keeper_of(shop)
    with shop.database.session(shop.tenant) as session:
        fake = {"fake": lambda _config, _secrets: shop.store}
        replace_secrets(session, shop.connection.id, {"access_token": "shpat_new"}, vault=VAULT, connectors=fake)

    keeper.refused(UNSEEN, "upstream.unauthorized", "The old token is dead.")

    assert shop.events("connection.unauthorized") == []


@pytest.mark.parametrize(("seen", "told"), [(1, 0), (2, 1)])
def test_a_refusal_of_a_token_that_was_renewed_meanwhile_is_no_news(shop: Shop, seen: int, told: int) -> None:
    keeper = keeper_of(shop)
    keeper.renew(UNSEEN, issuer := Issuer())
    keeper.renew(1, issuer)

    keeper.refused(seen, "upstream.unauthorized", "dead")

    assert len(shop.events("connection.unauthorized")) == told


def test_an_erased_connection_keeps_no_token_and_no_name_of_its_store(shop: Shop) -> None:
    keeper_of(shop).renew(UNSEEN, Issuer())
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        session.execute(text("update calibr.store_grant set account = 'app@https://shop.myshopify.com'"))

        erase_connection(session, shop.connection.id)

    assert shop.rows("select account, scopes from calibr.store_grant") == [{"account": None, "scopes": []}]
    assert shop.rows("select field from calibr.secret") == []


def test_tokens_of_another_tenant_or_connection_do_not_open(
    make_shop: Callable[..., Shop], tenant: Context, other_tenant: Context
) -> None:
    own, foreign = make_shop(tenant), make_shop(other_tenant)
    keeper_of(own).renew(UNSEEN, Issuer())
    keeper_of(foreign).renew(UNSEEN, Issuer())
    query = text("select ciphertext from calibr.secret where field = 'issued_access_token'")
    with foreign.database.session(foreign.tenant) as session:
        copied = session.execute(query).scalar_one()
    with own.database.session(own.tenant) as session:
        put = text("update calibr.secret set ciphertext = :copied where field = 'issued_access_token'")
        session.execute(put, {"copied": copied})

    with pytest.raises(Unavailable) as refused:
        keeper_of(own).current()

    assert refused.value.code == "vault.damaged"
