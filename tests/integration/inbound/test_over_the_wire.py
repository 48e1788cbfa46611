"""The whole way with the sandbox's own webhooks: subscribed by the API, sent by the store, deleted, made anew."""

from typing import Any

import httpx2
from storefront import Storefront, eventually

from calibr.connectors.port.webhooks import RegistersWebhooks

SHIRT, RED, CUP = 8_100_000_000_001, 45_100_000_000_001, 45_100_000_000_003
TOPICS = [
    "app/scopes_update", "app/uninstalled", "bulk_operations/finish",
    "products/create", "products/delete", "products/update",
]  # fmt: skip


def look(front: Storefront) -> None:
    """What the worker does every ten minutes."""
    near = str(front.anonymous.base_url).rstrip("/")
    front.watcher(public_url=near, reread_share_bp=0, webhooks_every_s=0.0).run(front.connection_id)


def subscribed(front: Storefront) -> list[str]:
    connector = front.connector(front.connection_id)
    assert isinstance(connector, RegistersWebhooks)
    try:
        return sorted(each.topic for each in connector.list_webhooks() if each.url.endswith(front.path))
    finally:
        connector.close()


def arrived(front: Storefront, number: int) -> None:
    eventually(lambda: sum(front.deliveries().values()) >= number)
    front.make_due()
    front.work_in()


def test_the_store_is_told_where_to_send_and_sends_what_somebody_edits(front: Storefront) -> None:
    assert front.applied()["state"] == "applied"
    look(front)
    assert subscribed(front) == TOPICS

    front.edit(RED, price="12.34")
    arrived(front, 1)

    (found,) = front.drift()
    assert (found["external_id"], found["source"], found["observed"]["unit_amount"]) == (str(RED), "webhook", 1234)
    shown = front.team.author.get(f"/v1/connections/{front.connection_id}/webhooks").json()
    assert (len(shown["subscriptions"]), shown["problem"], shown["failed"]) == (6, None, 0)


def test_our_own_apply_comes_back_and_falls_silent(front: Storefront) -> None:
    look(front)
    assert front.applied()["state"] == "applied"

    arrived(front, 2)

    assert front.told("price.observed", "price.drifted") == []
    assert front.calls["opened"] == 0


def test_a_subscription_that_the_store_deleted_is_made_again(front: Storefront) -> None:
    look(front)
    gone = [node["id"] for node in nodes(front) if node["topic"] == "PRODUCTS_UPDATE"]
    delete = "mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId } }"
    answer = graphql(front, delete, {"id": gone[0]})
    assert "errors" not in answer
    assert subscribed(front) == [topic for topic in TOPICS if topic != "products/update"]

    look(front)

    assert subscribed(front) == TOPICS
    front.edit(CUP, price="5.00")
    arrived(front, 1)
    assert len(front.told("price.observed")) == 1


def test_a_removed_app_is_told_and_its_connection_is_uninstalled(front: Storefront) -> None:
    look(front)

    httpx2.post(f"{front.sandbox.url}/sandbox/app", json={"installed": False}).raise_for_status()
    arrived(front, 1)

    state = front.team.author.get(f"/v1/connections/{front.connection_id}").json()["state"]
    assert state == "uninstalled"


def test_repeats_and_another_order_of_the_store_change_nothing(front: Storefront) -> None:
    assert front.applied()["state"] == "applied"
    look(front)
    for kind in ("duplicate_webhooks", "reorder_webhooks"):
        rule = {"kind": kind, "rate": 0.5}
        httpx2.post(f"{front.sandbox.url}/sandbox/faults", json=rule).raise_for_status()

    for turn in range(12):
        front.edit(RED, price=f"{20 + turn}.00")
        if turn % 3 == 0:
            front.work_in()
    eventually(lambda: is_sent(front), timeout_s=30)
    front.make_due()
    front.work_in()

    (found,) = front.drift()
    assert found["observed"]["unit_amount"] == 3100
    assert front.prices()[str(RED)] == (3100, None)
    assert found["observations"] == len(front.told("price.drifted"))


def is_sent(front: Storefront) -> bool:
    """Whether the store has nothing left to send."""
    counts = httpx2.get(f"{front.sandbox.url}/sandbox/stats").json()["webhooks"]
    assert (counts["given_up"], counts["dropped"], counts["subscriptions_deleted"]) == (0, 0, 0), counts
    return bool(counts["delivered"] == counts["queued"])


def graphql(front: Storefront, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = httpx2.post(
        f"{front.sandbox.url}/admin/api/2026-10/graphql.json",
        json={"query": query, "variables": variables or {}},
        headers={"X-Shopify-Access-Token": "shpat_sandbox"},
    )
    return dict(answer.json())


def nodes(front: Storefront) -> list[dict[str, Any]]:
    found = graphql(front, "{ webhookSubscriptions(first: 50) { nodes { id topic uri } } }")
    return list(found["data"]["webhookSubscriptions"]["nodes"])
