"""A tenant with a store of ten products, whose price changes move over HTTP; the work is done on the spot."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
from rest import Team

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "changes"))

from journeys import QUICK
from stores import Shop, make_shop

from calibr.catalog import PriceList, Reading, Source, record_reading
from calibr.changes.apply import run_apply
from calibr.changes.model import Price
from calibr.changes.preview import run_preview
from calibr.connectors.port import RemotePrice
from calibr.core.ids import PriceChangeId
from calibr.db import Context, Database, Role
from calibr.delivery import DeliverySettings, Relay, ensure_projections, list_subscriptions
from calibr.drift import DriftLedger
from calibr.events import count_events

EVERYTHING: dict[str, Any] = {"all": []}
TEN_PERCENT_OFF: dict[str, Any] = {"price": [{"op": "percent", "by": "-10"}]}


@dataclass
class Desk:
    """Where prices are changed. Every call is a request of the person who may make it."""

    database: Database
    team: Team
    shop: Shop
    worker: Context = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Context(self.team.principal.tenant_id, "system:worker", uuid4())

    def draft(self, **wishes: object) -> httpx2.Response:
        body = {"name": "Sale", "selector": EVERYTHING, "transform": TEN_PERCENT_OFF, **wishes}
        return self.team.author.post("/v1/price-changes", json=body)

    def drafted(self, **wishes: object) -> str:
        answer = self.draft(**wishes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def previewed(self, **wishes: object) -> dict[str, Any]:
        change_id = self.drafted(**wishes)
        self.act("preview", change_id)
        self.run_preview(change_id)
        return self.change(change_id)

    def submitted(self, **wishes: object) -> dict[str, Any]:
        change = self.previewed(**wishes)
        return dict(self.act("submit", change["id"]).json())

    def approved(self, **wishes: object) -> dict[str, Any]:
        change = self.submitted(**wishes)
        answer = self.act("approve", change["id"], client=self.team.approver, plan_root=change["plan_root"])
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def applied(self, **wishes: object) -> dict[str, Any]:
        change = self.approved(**wishes)
        self.act("apply", change["id"], client=self.team.approver)
        self.run_apply(change["id"])
        return self.change(change["id"])

    def act(self, verb: str, change_id: str, *, client: httpx2.Client | None = None, **body: object) -> httpx2.Response:
        return (client or self.team.author).post(f"/v1/price-changes/{change_id}/{verb}", json=body)

    def change(self, change_id: str) -> dict[str, Any]:
        return dict(self.team.author.get(f"/v1/price-changes/{change_id}").json())

    def items(self, change_id: str, **query: object) -> dict[str, Any]:
        return dict(self.team.author.get(f"/v1/price-changes/{change_id}/items", params=query).json())

    def run_preview(self, change_id: str) -> None:
        run_preview(self.database, self.worker, PriceChangeId(UUID(change_id)), connector_for=self.shop.connector_for)

    def run_apply(self, change_id: str) -> None:
        run_apply(self.database, self.worker, PriceChangeId(UUID(change_id)), self.shop.connector_for, QUICK)

    def drifted(self, external_id: str) -> str:
        """Apply a change, have somebody edit one price in the store, and return the id of the drift."""
        self.applied()
        base = PriceList(self.shop.price_list_id, self.shop.connection_id, None, "Base", "USD", is_base=True)
        self.shop.store.prices[external_id] = Price(1, None)
        shown = {external_id: RemotePrice(external_id, "USD", 1, None)}
        with self.database.session(self.worker, role=Role.WORKER) as session:
            ensure_projections(session, [DriftLedger()])
            reading = Reading((external_id,), shown, session.now, Source.REREAD)
            assert record_reading(session, base, reading).recorded == {external_id}
            (ledger,) = [s.id for s in list_subscriptions(session) if s.name == "drift"]
        Relay(self.database, self.worker, DeliverySettings(), {"drift": DriftLedger()}, _no_receiver, {}).run(ledger)
        (found,) = self.team.author.get("/v1/drift").json()["items"]
        return str(found["id"])

    def events(self) -> int:
        with self.database.session(self.worker) as session:
            return count_events(session)


def _no_receiver(*_: object) -> Any:  # noqa: ANN401
    raise AssertionError("there is no receiver outside")


def open_desk(database: Database, team: Team, *, products: int = 10, currency: str = "USD") -> Desk:
    """A fresh store for a team."""
    author = UUID(team.author.get("/v1/me").json()["user"]["id"])
    context = Context(team.principal.tenant_id, f"user:{author}", uuid4())
    return Desk(database, team, make_shop(database, context, products=products, currency=currency))
