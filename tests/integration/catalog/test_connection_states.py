"""The states of a connection: the database takes what the state machine knows, each step is told, and none twice."""

from collections.abc import Callable

import psycopg
import pytest
from catalog_shop import Shop
from psycopg.errors import CheckViolation

from calibr.catalog import (
    connection_states,
    disable_connection,
    enable_connection,
    get_connection,
    get_sync,
    list_connections,
    mark_uninstalled,
    open_connector,
    record_health,
    request_sync,
)
from calibr.catalog.connection_states import ConnectionState, ConnectionStep
from calibr.catalog.connection_steps import take_step
from calibr.catalog.ingest import fail_sync
from calibr.connectors.port import Health
from calibr.core.errors import Conflict, NotFound, Upstream
from calibr.core.ids import ConnectionId, new_uuid
from calibr.db import Context, ServerUrl
from calibr.events import JsonValue
from calibr.vault import Vault

FINE = Health(ok=True, latency_ms=1, store_name="Shop", currency="USD", api_version=None)
ILL = Health(ok=False, latency_ms=None, store_name=None, currency=None, api_version=None, problems=("It is away.",))
UNUSABLE = ("pending", "unauthorized", "uninstalled", "disabled")


def put(admin_url: ServerUrl, shop: Shop, state: str) -> None:
    """Set a state as no code may."""
    with psycopg.connect(admin_url.conninfo(), autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("update calibr.connection set state = %s where id = %s", (state, shop.connection.id))


def test_the_database_takes_exactly_the_steps_that_the_state_machine_knows(admin_url: ServerUrl, shop: Shop) -> None:
    accepted = set()
    with psycopg.connect(admin_url.conninfo(), autocommit=True) as admin:
        for source in ConnectionState:
            put(admin_url, shop, source)
            for target in ConnectionState:
                try:
                    with admin.transaction(force_rollback=True):
                        admin.execute(
                            "update calibr.connection set state = %s where id = %s", (target, shop.connection.id)
                        )
                except CheckViolation:
                    continue
                accepted.add((source, target))

    assert {pair for pair in accepted if pair[0] is not pair[1]} == connection_states.moves()


@pytest.mark.parametrize("state", ConnectionState)
def test_a_connection_begins_where_the_state_machine_says(
    admin_url: ServerUrl, shop: Shop, state: ConnectionState
) -> None:
    statement = "insert into calibr.connection(tenant_id, kind, name, name_norm, state) values (%s, 'f', 'n', 'n', %s)"
    with psycopg.connect(admin_url.conninfo(), autocommit=True) as admin, admin.transaction(force_rollback=True):
        try:
            with admin.transaction():
                admin.execute(statement, (shop.tenant.tenant_id, state))
            taken = True
        except CheckViolation:
            taken = False

    assert taken == (state in connection_states.FIRST_STATES)


@pytest.mark.parametrize("step", connection_states.STEPS, ids=lambda step: f"{step.event}-{len(step.sources)}")
@pytest.mark.parametrize("source", ConnectionState)
def test_a_step_is_taken_and_told_where_it_may_be_and_else_nothing_happens(
    admin_url: ServerUrl, shop: Shop, step: ConnectionStep, source: ConnectionState
) -> None:
    put(admin_url, shop, source)
    told: dict[str, dict[str, JsonValue]] = {
        "connection.authorized": {"scopes": []},
        "connection.failing": {"code": "upstream.x", "message": "away"},
        "connection.unauthorized": {"code": "upstream.unauthorized", "message": "no"},
    }
    before = len(shop.events(step.event))
    with shop.database.session(shop.tenant) as session:
        taken = take_step(session, shop.connection.id, step, told.get(step.event))
        state = get_connection(session, shop.connection.id).state

    assert taken == (source in step.sources)
    assert state == (step.target if taken else source)
    events = shop.events(step.event)[before:]
    assert [event["from"] for event in events] == ([source] if taken else [])


def test_nobody_steps_where_there_is_nothing(shop: Shop) -> None:
    with pytest.raises(NotFound), shop.database.session(shop.tenant) as session:
        take_step(session, ConnectionId(new_uuid()), connection_states.RECOVER)


def test_of_two_tenants_each_steps_alone(
    make_shop: Callable[..., Shop], tenant: Context, other_tenant: Context
) -> None:
    own, foreign = make_shop(tenant), make_shop(other_tenant)

    with own.database.session(own.tenant) as session:
        assert mark_uninstalled(session, own.connection.id)
    with pytest.raises(NotFound), own.database.session(own.tenant) as session:
        mark_uninstalled(session, foreign.connection.id)

    with foreign.database.session(foreign.tenant) as session:
        assert [known.state for known in list_connections(session, after=None, limit=9)] == ["active"]


@pytest.mark.parametrize("state", UNUSABLE)
def test_what_cannot_be_used_is_neither_read_nor_opened(admin_url: ServerUrl, shop: Shop, state: str) -> None:
    put(admin_url, shop, state)

    with pytest.raises(Conflict) as refused, shop.database.session(shop.tenant) as session:
        request_sync(session, shop.connection.id)
    with pytest.raises(Upstream) as stopped, shop.database.session(shop.tenant) as session:
        open_connector(session, shop.connection.id, Vault(b"catalog test key, 32 bytes or more"), {})

    assert refused.value.code == stopped.value.code == f"connection.{state}"
    assert shop.connection.name in refused.value.message


@pytest.mark.parametrize(
    ("state", "health", "expected"),
    [
        ("active", ILL, "failing"),
        ("failing", FINE, "active"),
        ("failing", ILL, "failing"),
        ("unauthorized", FINE, "active"),
        ("unauthorized", ILL, "unauthorized"),
        ("uninstalled", FINE, "active"),
        ("uninstalled", ILL, "uninstalled"),
        ("pending", ILL, "pending"),
        ("disabled", FINE, "disabled"),
    ],
)
def test_a_check_moves_a_connection_by_what_it_saw(
    admin_url: ServerUrl, shop: Shop, state: str, health: Health, expected: str
) -> None:
    put(admin_url, shop, state)

    with shop.database.session(shop.tenant) as session:
        found = record_health(session, shop.connection.id, health)

    assert found.state == expected
    assert found.health is not None
    assert found.health["ok"] == health.ok


def test_a_sync_that_ends_after_the_app_was_removed_does_not_bring_it_back(admin_url: ServerUrl, shop: Shop) -> None:
    sync_id = shop.request()
    put(admin_url, shop, "uninstalled")

    shop.run(sync_id)

    assert shop.rows("select state from calibr.connection") == [{"state": "uninstalled"}]


def test_a_sync_that_cannot_begin_fails_with_its_reason(shop: Shop) -> None:
    sync_id = shop.request()
    reason = Upstream("connection.unauthorized", "The connection was refused by the store; authorize it again.")

    fail_sync(shop.database, shop.tenant, sync_id, reason)

    with shop.database.session(shop.tenant) as session:
        run = get_sync(session, sync_id)
    assert (run.state, run.error) == ("failed", reason.message)
    assert shop.events("sync.failed")[-1]["code"] == "connection.unauthorized"


def test_what_is_switched_off_can_be_switched_on_once(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session:
        assert disable_connection(session, shop.connection.id).state == "disabled"
    with pytest.raises(Conflict), shop.database.session(shop.tenant) as session:
        disable_connection(session, shop.connection.id)
    with shop.database.session(shop.tenant) as session:
        assert enable_connection(session, shop.connection.id).state == "active"
    with pytest.raises(Conflict), shop.database.session(shop.tenant) as session:
        enable_connection(session, shop.connection.id)
