"""What a store says of our app, and of people's data: clear states, recorded requests, nothing erased too early."""

import json
from typing import Any

import pytest
from sqlalchemy import text
from storefront import Storefront, headers_of

from calibr.connectors.port import Connector
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Role

SHIRT = 8_100_000_000_001
UNINSTALLED = json.dumps({"id": 548380009, "name": "Shop", "customer_email": "ann@example.com"}).encode()


class GoneStore:
    """The connector to a store that removed our app."""

    def __init__(self, inner: Connector) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def check(self) -> Any:  # noqa: ANN401
        from dataclasses import replace  # noqa: PLC0415

        return replace(self._inner.check(), ok=False, problems=("Shopify refuses the token.",))


def removed(front: Storefront) -> None:
    """From now on the store refuses our token."""
    inner = front.counted_connector
    front.counted_connector = lambda id_: GoneStore(inner(id_))  # type: ignore[method-assign, assignment, return-value]


def state(front: Storefront) -> str:
    return str(front.team.author.get(f"/v1/connections/{front.connection_id}").json()["state"])


def send(front: Storefront, topic: str, body: bytes = b"{}") -> None:
    assert front.send(body, headers_of(body, topic=topic)).status_code == 200
    front.work_in()


def test_a_removed_app_disables_its_connection(front: Storefront) -> None:
    removed(front)

    send(front, "app/uninstalled", UNINSTALLED)

    assert state(front) == "uninstalled"
    assert [e["payload"]["from"] for e in front.told("connection.uninstalled")] == ["active"]
    asked = front.team.author.post(f"/v1/connections/{front.connection_id}/syncs")
    assert (asked.status_code, asked.json()["code"]) == (409, "connection.uninstalled")


def test_a_late_word_of_a_removal_does_not_disable_an_app_that_is_there(front: Storefront) -> None:
    send(front, "app/uninstalled", UNINSTALLED)

    assert state(front) == "active"
    assert front.told("connection.uninstalled") == []


def test_a_removal_needs_no_token(front: Storefront) -> None:
    def dead(_id: ConnectionId) -> Connector:
        raise Upstream("upstream.unauthorized", "Shopify refuses the token.")

    front.counted_connector = dead  # type: ignore[method-assign]

    send(front, "app/uninstalled", UNINSTALLED)

    assert state(front) == "uninstalled"
    assert front.deliveries() == {"handled": 1}


def test_products_of_a_disabled_connection_are_let_in_and_not_looked_at(front: Storefront) -> None:
    removed(front)
    send(front, "app/uninstalled", UNINSTALLED)
    opened = front.calls["opened"]
    front.edit(45_100_000_000_001, price="1.00")

    front.tell(SHIRT)
    front.work_in()

    assert (front.deliveries(), front.calls["opened"] - opened) == ({"handled": 2}, 0)


def test_other_scopes_are_checked_and_told(front: Storefront) -> None:
    body = json.dumps({"id": 1, "previous": [], "current": ["read_products"], "updated_at": "x"}).encode()

    send(front, "app/scopes_update", body)

    (told,) = front.told("connection.scopes_changed")
    assert told["payload"] == {
        "scopes": ["read_inventory", "read_markets", "read_products", "write_products"],
        "problems": [],
    }


def test_a_finished_bulk_operation_is_a_hint_and_nothing_more(front: Storefront) -> None:
    send(front, "bulk_operations/finish", b'{"admin_graphql_api_id": "gid://shopify/BulkOperation/1"}')

    assert front.deliveries() == {"handled": 1}


@pytest.mark.parametrize(
    ("topic", "kind"), [("customers/data_request", "data_request"), ("customers/redact", "customer_redact")]
)
def test_requests_about_customers_are_recorded_without_saying_whose(front: Storefront, topic: str, kind: str) -> None:
    body = json.dumps({"shop_id": 1, "customer": {"id": 9, "email": "ann@example.com", "phone": "555"}}).encode()

    send(front, topic, body)

    (listed,) = front.team.approver.get("/v1/privacy-requests").json()["items"]
    assert (listed["kind"], listed["state"]) == (kind, "done")
    asked, done = front.told("privacy.requested", "privacy.carried_out")
    assert (asked["payload"]["kind"], done["payload"]["erased"]) == (kind, False)
    assert not _is_anywhere(front, "ann@example.com")


def test_a_store_is_not_erased_while_it_lets_us_in(front: Storefront) -> None:
    send(front, "shop/redact")

    front.watcher().keep_house()

    (listed,) = front.team.approver.get("/v1/privacy-requests").json()["items"]
    assert (listed["state"], listed["reason"]) == ("waiting", "the store still lets us in")
    assert len(front.prices()) == 3


def test_a_store_that_never_said_that_the_app_is_gone_is_not_erased(front: Storefront) -> None:
    send(front, "shop/redact")

    front.watcher(lambda id_: GoneStore(front.connector(id_))).keep_house()  # type: ignore[arg-type, return-value]

    (listed,) = front.team.approver.get("/v1/privacy-requests").json()["items"]
    assert listed["reason"] == "the store has not said that the app was removed"


def test_a_store_whose_app_is_gone_is_erased_once_asked(front: Storefront) -> None:
    removed(front)
    send(front, "app/uninstalled", UNINSTALLED)
    send(front, "shop/redact")

    front.watcher(lambda id_: GoneStore(front.connector(id_))).keep_house()  # type: ignore[arg-type, return-value]

    (listed,) = front.team.approver.get("/v1/privacy-requests").json()["items"]
    assert (listed["kind"], listed["state"]) == ("shop_redact", "done")
    assert [e["payload"]["erased"] for e in front.told("privacy.carried_out")] == [True]
    assert front.deliveries() == {}
    with front.database.session(front.worker, role=Role.WORKER) as session:
        left = session.execute(
            text("""select (select count(*) from calibr.secret) as secrets,
              (select count(*) from calibr.product where title is not null or sku is not null) as texts,
              (select config::text from calibr.connection) as config""")
        ).one()
    assert tuple(left) == (0, 0, "{}")
    answer = front.send(b"{}", headers_of(b"{}"))
    assert answer.status_code == 401  # no secret is left that could judge it


def _is_anywhere(front: Storefront, needle: str) -> bool:
    query = text("""select exists (select from calibr.event where position(:needle in convert_from(body, 'UTF8')) > 0)
      or exists (select from calibr.webhook_delivery
                 where body is not null and position(:needle in convert_from(body, 'UTF8')) > 0)""")
    with front.database.session(front.worker, role=Role.WORKER) as session:
        return bool(session.execute(query, {"needle": needle}).scalar_one())
