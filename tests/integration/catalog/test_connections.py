"""A connection is made once, keeps its secrets sealed, and opens the connector that it was made for."""

import pytest
from catalog_shop import Shop, Store
from sqlalchemy import text

from calibr.catalog import (
    NewConnection,
    create_connection,
    get_connection,
    list_connections,
    open_connector,
    record_health,
)
from calibr.connectors.port import Connector, Health
from calibr.core.errors import Conflict, Invalid, Unavailable
from calibr.db import Context, Database, Role
from calibr.vault import Vault

VAULT = Vault(b"connection test key, 32 bytes or more")
NEW = NewConnection(
    "fake", " Main  Store ", {"shop_url": "https://shop.example"}, {"access_token": "shpat_very_secret"}
)


class Factory:
    """Makes connectors and remembers with what."""

    def __init__(self, fault: Invalid | None = None) -> None:
        self.made: list[tuple[dict[str, object], dict[str, str]]] = []
        self._fault = fault

    def __call__(self, config: dict[str, object], secrets: dict[str, str]) -> Connector:
        if self._fault is not None:
            raise self._fault
        self.made.append((config, secrets))
        return Store()


def test_a_connection_is_an_event_and_its_secrets_are_nowhere_in_clear(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session:
        create_connection(session, NEW, vault=VAULT, connectors={"fake": Factory()})

    created = shop.events("connection.created")[-1]
    assert (created["kind"], created["config"]) == ("fake", {"shop_url": "https://shop.example"})
    stored = shop.rows("select to_jsonb(s)::text as row from calibr.secret s")
    stored += shop.rows("select convert_from(body, 'UTF8') as row from calibr.event")
    stored += shop.rows("select to_jsonb(c)::text as row from calibr.connection c")
    assert not [row for row in stored if "shpat_very_secret" in row["row"]]


def test_the_connector_is_opened_with_the_secrets_in_clear(database: Database, tenant: Context) -> None:
    factory = Factory()
    with database.session(tenant) as session:
        made = create_connection(session, NEW, vault=VAULT, connectors={"fake": factory})

    with database.session(tenant, role=Role.WORKER) as session:
        open_connector(session, made.id, VAULT, {"fake": factory}).close()

    assert factory.made[-1] == ({"shop_url": "https://shop.example"}, {"access_token": "shpat_very_secret"})


def test_another_key_does_not_open_it(database: Database, tenant: Context) -> None:
    with database.session(tenant) as session:
        made = create_connection(session, NEW, vault=VAULT, connectors={"fake": Factory()})
        other = Vault(b"another test key, 32 bytes or more")

        with pytest.raises(Unavailable):
            open_connector(session, made.id, other, {"fake": Factory()})


def test_a_name_is_taken_once_per_tenant(database: Database, tenant: Context, other_tenant: Context) -> None:
    for context in (tenant, other_tenant):
        with database.session(context) as session:
            create_connection(session, NEW, vault=VAULT, connectors={"fake": Factory()})

    with pytest.raises(Conflict) as caught, database.session(tenant) as session:
        create_connection(session, NEW, vault=VAULT, connectors={"fake": Factory()})

    assert caught.value.code == "connection.name_taken"


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (NewConnection("magento", "Shop", {}, {}), "$.kind"),
        (NewConnection("fake", "  ", {}, {}), "$.name"),
        (NewConnection("fake", "a\0b", {}, {}), "$.name"),
    ],
)
def test_bad_input_names_its_place_and_makes_nothing(
    database: Database, tenant: Context, new: NewConnection, path: str
) -> None:
    with pytest.raises(Invalid) as caught, database.session(tenant) as session:
        create_connection(session, new, vault=VAULT, connectors={"fake": Factory()})

    assert [fault.path for fault in caught.value.faults] == [path]
    with database.session(tenant) as session:
        assert list_connections(session, after=None, limit=10) == []


def test_what_the_connector_refuses_is_not_made(database: Database, tenant: Context) -> None:
    refusing = Factory(Invalid("connection.config", "shop_url: 'x' is no address"))

    with pytest.raises(Invalid, match="no address"), database.session(tenant) as session:
        create_connection(session, NEW, vault=VAULT, connectors={"fake": refusing})

    with database.session(tenant) as session:
        assert session.execute(text("select count(*) from calibr.secret")).scalar_one() == 0


@pytest.mark.parametrize(("ok", "state"), [(True, "active"), (False, "failing")])
def test_a_check_is_kept_with_the_connection(shop: Shop, ok: bool, state: str) -> None:  # noqa: FBT001 - a case
    health = Health(
        ok=ok, latency_ms=12, store_name="Shop", currency="USD", api_version="2026-10", scopes=("read_products",)
    )

    with shop.database.session(shop.tenant) as session:
        record_health(session, shop.connection.id, health)
        found = get_connection(session, shop.connection.id)

    assert found.state == state
    assert found.health is not None
    assert (found.health["ok"], found.health["scopes"], found.health["latency_ms"]) == (ok, ["read_products"], 12)
    assert found.health["checked_at"]


def test_neither_a_check_nor_a_sync_enables_a_disabled_connection(shop: Shop) -> None:
    sync_id = shop.request()
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.connection set state = 'disabled'"))
        record_health(session, shop.connection.id, shop.store.check())

    shop.run(sync_id)

    assert shop.rows("select state from calibr.connection") == [{"state": "disabled"}]
