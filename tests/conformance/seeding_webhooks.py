"""Fills a sandbox with the webhook subscriptions that a recording presupposes, under the recorded ids."""

import json

from presupposed import Presupposed

from calibr_sandbox.ids import parse_gid
from calibr_sandbox.store import Store

_LONG_AGO = 1_500_000_000


def seed_subscriptions(store: Store, presupposed: Presupposed) -> None:
    """Store subscriptions; what a recording does not tell of them is made up."""
    for found in presupposed.of_type("WebhookSubscription"):
        parsed = parse_gid(found["id"])
        if parsed is None:
            continue
        uri = (
            found.get("uri")
            or (found.get("endpoint") or {}).get("callbackUrl")
            or f"https://example.com/{parsed.number}"
        )
        lists = (json.dumps(found.get(name) or []) for name in ("includeFields", "metafieldNamespaces", "metafields"))
        head = (parsed.number, found.get("topic") or "SHOP_UPDATE", uri, found.get("format") or "JSON")
        tail = (found.get("filter"), *lists, found.get("name"), _LONG_AGO, _LONG_AGO)
        with store.transaction() as connection:
            connection.execute("INSERT INTO webhook_subscription VALUES (?,?,?,?,?,?,?,?,?,?,?)", (*head, *tail))
