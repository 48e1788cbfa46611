"""Looking after a connection: webhooks that the store forgot, samples of prices, syncs that are wanted."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text
from storefront import Storefront

from calibr.connectors.port import Connector
from calibr.connectors.port.webhooks import RemoteWebhook
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Role
from calibr.inbound import WatchSettings, due_connections

SHIRT, RED, CUP = 8_100_000_000_001, 45_100_000_000_001, 45_100_000_000_003


class HookStore:
    """A store that keeps webhook subscriptions, over the sandbox for everything else."""

    def __init__(self, inner: Connector, kept: list[RemoteWebhook], refused: Sequence[str] = ()) -> None:
        self._inner, self.kept, self._refused = inner, kept, refused

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def list_webhooks(self) -> list[RemoteWebhook]:
        return list(self.kept)

    def subscribe_webhook(self, topic: str, url: str) -> None:
        if topic in self._refused:
            raise Upstream("upstream.rejected", f"Shopify does not send {topic} to this address: no")
        self.kept.append(RemoteWebhook(topic, url))


def watch(front: Storefront) -> dict[str, Any]:
    return dict(front.team.author.get(f"/v1/connections/{front.connection_id}/webhooks").json())


def look(front: Storefront, kept: list[RemoteWebhook], refused: Sequence[str] = ()) -> None:
    def opener(connection_id: ConnectionId) -> Any:  # noqa: ANN401
        return HookStore(front.connector(connection_id), kept, refused)

    front.watcher(opener, reread_share_bp=0, webhooks_every_s=0.0).run(front.connection_id)


def test_all_topics_are_subscribed_once(front: Storefront) -> None:
    kept = [RemoteWebhook("products/update", "https://somebody.example.com/hook")]

    look(front, kept)
    look(front, kept)

    url = watch(front)["url"]
    assert url == "https://calibr.example.com" + front.path
    ours = [each.topic for each in kept if each.url == url]
    assert sorted(ours) == [
        "app/scopes_update", "app/uninstalled", "bulk_operations/finish",
        "products/create", "products/delete", "products/update",
    ]  # fmt: skip
    shown = watch(front)
    assert (len(shown["subscriptions"]), shown["problem"]) == (6, None)
    assert shown["checked_at"] is not None


def test_one_that_the_store_deleted_comes_back(front: Storefront) -> None:
    kept: list[RemoteWebhook] = []
    look(front, kept)
    deleted = next(each for each in kept if each.topic == "products/update")
    kept.remove(deleted)

    look(front, kept)

    assert deleted in kept
    assert len(kept) == 6


def test_a_refusal_is_shown_and_the_rest_is_subscribed(front: Storefront) -> None:
    kept: list[RemoteWebhook] = []

    look(front, kept, refused=["products/create"])

    assert len(kept) == 5
    assert watch(front)["problem"] == "Shopify does not send products/create to this address: no"


def test_without_a_public_address_nothing_is_asked_for(front: Storefront) -> None:
    with front.database.session(front.worker, role=Role.WORKER) as session:
        assert due_connections(session, WatchSettings(public_url=None, reread_share_bp=0, price_lists_every_s=0)) == {}
        due = due_connections(
            session, WatchSettings(public_url="https://calibr.example.com", reread_share_bp=0, price_lists_every_s=0)
        )
    assert due == {front.connection_id: {"webhooks"}}


def test_a_sample_finds_drift_that_no_webhook_told(front: Storefront) -> None:
    front.applied()
    front.edit(RED, price="12.34")

    front.watcher(public_url=None, reread_share_bp=10_000).run(front.connection_id)
    front.ledger()

    (found,) = front.drift()
    assert (found["source"], found["observed"]["unit_amount"]) == ("reread", 1234)
    shown = watch(front)
    assert (shown["reread_listings"], shown["reread_differing"]) == (3, 1)


@pytest.mark.parametrize(("share_bp", "listings"), [(1, 1), (5_000, 2), (10_000, 3)])
def test_a_sample_is_a_share_and_at_least_one(front: Storefront, share_bp: int, listings: int) -> None:
    front.watcher(public_url=None, reread_share_bp=share_bp).run(front.connection_id)

    assert watch(front)["reread_listings"] == listings


def test_a_sample_is_not_due_before_its_time(front: Storefront) -> None:
    settings = WatchSettings(reread_every_s=86_400.0, price_lists_every_s=0)

    with front.database.session(front.worker, role=Role.WORKER) as session:
        assert due_connections(session, settings) == {}


def test_a_sample_of_a_store_that_hides_everything_vanishes_nothing(front: Storefront) -> None:
    class Empty:
        def __init__(self, inner: Connector) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(self._inner, name)

        def read_prices(self, _ids: Sequence[str], _currency: str) -> dict[str, Any]:
            return {}

    def opener(connection_id: ConnectionId) -> Any:  # noqa: ANN401
        return Empty(front.connector(connection_id))

    front.watcher(opener, public_url=None, reread_share_bp=10_000).run(front.connection_id)

    assert len(front.prices()) == 3
    assert front.told("listing.vanished") == []


def test_what_only_a_sync_can_take_in_is_synced_soon(front: Storefront) -> None:
    with front.database.session(front.worker, role=Role.WORKER) as session:
        session.execute(
            text("""insert into calibr.connection_watch(tenant_id, connection_id, sync_wanted_since)
              values (:tenant, :connection, now())"""),
            {"tenant": session.tenant_id, "connection": front.connection_id},
        )
    patient = front.watcher(public_url=None, reread_share_bp=0, sync_after_s=3600.0)
    patient.run(front.connection_id)
    assert [e["type"] for e in front.told("sync.requested")] == ["sync.requested"]

    time.sleep(0.01)
    front.watcher(public_url=None, reread_share_bp=0, sync_after_s=0.0, sync_every_s=0.0).run(front.connection_id)

    assert len(front.told("sync.requested")) == 2
    again = front.watcher(public_url=None, reread_share_bp=0, sync_after_s=0.0, sync_every_s=0.0)
    again.run(front.connection_id)
    assert len(front.told("sync.requested")) == 2


def test_a_check_of_the_connection_tells_of_each_topic(front: Storefront) -> None:
    def checked() -> dict[str, Any]:
        return dict(front.team.author.post(f"/v1/connections/{front.connection_id}/check", json={}).json()["health"])

    before = checked()
    look(front, [], refused=("products/update",))
    after = checked()

    assert set(before["webhooks"].values()) == {"not asked for yet"}
    assert (after["webhooks"]["products/update"], after["webhooks"]["app/uninstalled"]) == ("missing", "subscribed")
    assert before["webhooks"].keys() == after["webhooks"].keys()
    assert after["warnings"] == ["Webhooks: Shopify does not send products/update to this address: no"]
    assert after["ok"]
