"""A tenant whose store is a sandbox, with webhooks, a person for each step, and the worker's jobs done on demand."""

import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson
from rest import Team
from sqlalchemy import text

from calibr import catalog
from calibr.changes.apply import ApplySettings, run_apply
from calibr.changes.preview import run_preview
from calibr.connectors import shopify
from calibr.connectors.port import Connector
from calibr.core.ids import ConnectionId, PriceChangeId, SyncId
from calibr.db import Context, Database, Role
from calibr.delivery import DeliverySettings, Relay, ensure_projections, list_subscriptions
from calibr.drift import DriftLedger
from calibr.http import ApiServices
from calibr.inbound import Inbox, Watcher, WatchSettings
from calibr_sandbox.config import DEFAULT_TOKEN, DEFAULT_WEBHOOK_SECRET
from calibr_sandbox.testing import StartedSandbox
from calibr_sandbox.webhook_body import product_body

EVERYTHING: dict[str, Any] = {"all": []}
TEN_PERCENT_OFF: dict[str, Any] = {"price": [{"op": "percent", "by": "-10"}]}
QUICK = ApplySettings(lease_s=30.0, margin_s=0.2, backoff_base_s=0.02, backoff_cap_s=0.1, give_up_after=3)
OLD_SECRET = "shpss_before"


def signature(body: bytes, secret: str = DEFAULT_WEBHOOK_SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def headers_of(body: bytes, topic: str = "products/update", **other: str) -> dict[str, str]:
    """The headers of a delivery of its own; `other` replaces some of them."""
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "calibr-sandbox.myshopify.com",
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": str(uuid4()),
        "X-Shopify-Event-Id": str(uuid4()),
        "X-Shopify-Triggered-At": "2026-11-24T12:00:00.123456789Z",
        "X-Shopify-Hmac-Sha256": signature(body),
        **{f"X-Shopify-{name.replace('_', '-')}": value for name, value in other.items()},
    }


@dataclass
class Storefront:
    """The store is `sandbox`; `team` works on it over HTTP."""

    database: Database
    services: ApiServices
    team: Team
    sandbox: StartedSandbox
    anonymous: httpx2.Client
    connection_id: ConnectionId = field(init=False)
    worker: Context = field(init=False)
    path: str = field(init=False)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.worker = Context(self.team.principal.tenant_id, "system:worker", uuid4())
        secrets = {
            "access_token": DEFAULT_TOKEN,
            "client_secret": DEFAULT_WEBHOOK_SECRET,
            "previous_client_secret": OLD_SECRET,
        }
        body = {"kind": "shopify", "name": "Shop", "config": {"shop_url": self.sandbox.url}, "secrets": secrets}
        made = self.team.author.post("/v1/connections", json=body)
        assert made.status_code == 201, made.text
        self.connection_id = ConnectionId(UUID(made.json()["id"]))
        self.path = self.team.author.get(f"/v1/connections/{self.connection_id}/webhooks").json()["path"]
        with self.database.session(self.worker, role=Role.WORKER) as session:
            ensure_projections(session, [DriftLedger()])

    # The worker's jobs.
    def sync(self, folder: Path) -> catalog.SyncSummary:
        asked = self.team.author.post(f"/v1/connections/{self.connection_id}/syncs")
        assert asked.status_code == 202, asked.text
        connector = self.connector(self.connection_id)
        sync_id = SyncId(UUID(asked.json()["id"]))
        summary = catalog.run_sync(self.database, self.worker, sync_id, connector, folder)
        connector.close()
        assert summary is not None
        return summary

    def work_in(self) -> None:
        """Work in what the store sent, and let the drift ledger catch up."""
        inbox = Inbox(self.database, self.worker, self.services.webhook_readers, self.counted_connector)
        inbox.run(self.connection_id, QUIET)
        self.ledger()

    def ledger(self) -> None:
        relay = Relay(self.database, self.worker, DeliverySettings(), {"drift": DriftLedger()}, _nobody, {})
        with self.database.session(self.worker, role=Role.WORKER) as session:
            (id_,) = [s.id for s in list_subscriptions(session) if s.name == "drift"]
        relay.run(id_)

    def watcher(self, connector_for: Callable[[ConnectionId], Connector] | None = None, **settings: Any) -> Watcher:  # noqa: ANN401
        watch = WatchSettings(**{"public_url": "https://calibr.example.com", "reread_every_s": 0.01, **settings})
        opener = connector_for or self.connector
        return Watcher(
            self.database, self.worker, self.services.vault, self.services.webhook_readers, opener, opener, watch
        )

    def connector(self, _connection_id: ConnectionId) -> Connector:
        return shopify.create(
            {"shop_url": self.sandbox.url}, {"access_token": DEFAULT_TOKEN}, allow_loopback=True, call_s=2.0
        )

    def counted_connector(self, connection_id: ConnectionId) -> Connector:
        self.calls["opened"] += 1
        return self.connector(connection_id)

    # What people do.
    def approved(self, **wishes: object) -> str:
        body = {"name": "Sale", "selector": EVERYTHING, "transform": TEN_PERCENT_OFF, **wishes}
        made = self.team.author.post("/v1/price-changes", json=body)
        assert made.status_code == 201, made.text
        change_id = str(made.json()["id"])
        self.team.author.post(f"/v1/price-changes/{change_id}/preview", json={})
        run_preview(self.database, self.worker, PriceChangeId(UUID(change_id)), connector_for=self.connector)
        return self.decided(change_id)

    def decided(self, change_id: str) -> str:
        """Submit a previewed change and have it approved by somebody else."""
        submitted = self.team.author.post(f"/v1/price-changes/{change_id}/submit", json={}).json()
        body = {"plan_root": submitted["plan_root"]}
        answer = self.team.approver.post(f"/v1/price-changes/{change_id}/approve", json=body)
        assert answer.status_code == 200, answer.text
        return change_id

    def apply(self, change_id: str) -> dict[str, Any]:
        self.team.approver.post(f"/v1/price-changes/{change_id}/apply", json={})
        run_apply(self.database, self.worker, PriceChangeId(UUID(change_id)), self.connector, QUICK)
        return dict(self.team.author.get(f"/v1/price-changes/{change_id}").json())

    def applied(self, **wishes: object) -> dict[str, Any]:
        return self.apply(self.approved(**wishes))

    def drift(self, state: str = "open") -> list[dict[str, Any]]:
        answer = self.team.viewer.get("/v1/drift", params={"state": state})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    # What the store does.
    def edit(self, variant: int, **amounts: str | None) -> None:
        answer = httpx2.post(f"{self.sandbox.url}/sandbox/variants/{variant}", json=amounts)
        assert answer.status_code == 200, answer.text

    def body(self, product: int) -> bytes:
        """What the store would send of a product as it is now."""
        return orjson.dumps(product_body(self.sandbox.shop.store, product))

    def send(self, body: bytes, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self.anonymous.post(self.path, content=body, headers=dict(headers or headers_of(body)))

    def tell(self, product: int) -> None:
        """Send a product as it is now."""
        assert self.send(self.body(product)).status_code == 200

    # What is known.
    def prices(self) -> dict[str, tuple[int, int | None]]:
        query = """select l.external_id, v.unit_amount, v.compare_at from calibr.listing l
          join calibr.price_version v on v.product_id = l.product_id and v.ends_at = 'infinity'
          where l.connection_id = :connection"""
        with self.database.session(self.worker, role=Role.WORKER) as session:
            rows = session.execute(text(query), {"connection": self.connection_id}).all()
        return {row.external_id: (row.unit_amount, row.compare_at) for row in rows}

    def deliveries(self) -> dict[str, int]:
        query = "select state, count(*) as n from calibr.webhook_delivery group by state"
        with self.database.session(self.worker, role=Role.WORKER) as session:
            return {row.state: row.n for row in session.execute(text(query))}

    def make_due(self) -> None:
        """Let what waits wait no longer."""
        with self.database.session(self.worker, role=Role.WORKER) as session:
            session.execute(text("update calibr.webhook_delivery set next_at = clock_timestamp()"))

    def told(self, *types: str) -> list[dict[str, Any]]:
        """The envelopes of these events, in order."""
        with self.database.session(self.worker, role=Role.WORKER) as session:
            query = text("select convert_from(body, 'UTF8') as body, type from calibr.event order by seq")
            rows = session.execute(query).all()
        return [json.loads(row.body) for row in rows if row.type in types]


class _Quiet:
    def is_set(self) -> bool:
        return False


QUIET: Any = _Quiet()


def _nobody(*_: object) -> Any:  # noqa: ANN401
    raise AssertionError("there is no receiver outside")


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


__all__ = ["OLD_SECRET", "Storefront", "eventually", "headers_of", "signature"]
