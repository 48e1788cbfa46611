"""Takes price changes along their way, as the surfaces and the worker do."""

import json
from collections.abc import Callable
from typing import TypeAlias

import pytest
from sqlalchemy import text
from stores import Shop

from calibr.changes import service
from calibr.changes.apply import ApplySettings, RunHooks, run_apply
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import Documents, NewPriceChange, PriceChange
from calibr.changes.preview import run_preview
from calibr.changes.repository import get_change
from calibr.core.errors import CalibrError
from calibr.core.ids import PriceChangeId
from calibr.core.written_json import Json, load_written
from calibr.db import Context, Database
from calibr.events import count_events, list_audit
from calibr.events.reads import AuditEntry

Document: TypeAlias = "dict[str, Document] | list[Document] | str | int | bool | None"

EVERYTHING: Document = {"all": []}
TEN_PERCENT_OFF: dict[str, Document] = {"price": [{"op": "percent", "by": "-10"}]}
QUICK = ApplySettings(
    batch_size=3, parallel_batches=2, lease_s=2.0, margin_s=0.2, backoff_base_s=0.02, backoff_cap_s=0.1, give_up_after=3
)


_FOOTPRINT = text("""
  select id, revision, state, name, rule_hash, plan_root, approved_root, counts::text, updated_at
  from calibr.price_change order by id
""")


def written(document: Document) -> Json:
    return load_written(json.dumps(document))


def documents(selector: Document = None, transform: Document = None, guardrails: Document = None) -> Documents:
    return Documents(
        written(EVERYTHING if selector is None else selector),
        written(TEN_PERCENT_OFF if transform is None else transform),
        written([] if guardrails is None else guardrails),
    )


def footprint(database: Database, context: Context) -> tuple[int, list[tuple[object, ...]]]:
    """Everything that a refused command must leave as it was."""
    with database.session(context) as session:
        rows = session.execute(_FOOTPRINT).all()
        return count_events(session), [tuple(row) for row in rows]


def refused(
    database: Database, context: Context, command: Callable[..., object], *arguments: object, **named: object
) -> CalibrError:
    """Run a command that must be refused, and prove that it changed nothing."""
    before = footprint(database, context)
    with pytest.raises(CalibrError) as caught, database.session(context) as session:
        command(session, *arguments, **named)
    assert footprint(database, context) == before
    return caught.value


class Journey:
    """One change of a shop, its author and its approver."""

    def __init__(self, database: Database, shop: Shop, approver: Context, change: PriceChange) -> None:
        self.database = database
        self.shop = shop
        self.author = shop.context
        self.approver = approver
        self.id: PriceChangeId = change.id

    @classmethod
    def begin(cls, database: Database, shop: Shop, approver: Context, **rules: Document) -> "Journey":
        with database.session(shop.context) as session:
            change = service.create(session, NewPriceChange("Sale", documents(**rules)))
        return cls(database, shop, approver, change)

    @property
    def change(self) -> PriceChange:
        with self.database.session(self.author) as session:
            return get_change(session, self.id)

    @property
    def worker(self) -> Context:
        return Context(self.author.tenant_id, "system:worker", self.author.correlation_id)

    def audit(self, action: str | None = None) -> list[AuditEntry]:
        """The audit trail of the change and of its items, oldest first."""
        with self.database.session(self.author) as session:
            entries = list_audit(session, limit=10_000)
        own = [e for e in entries if e.explain.get("change_id") == str(self.id)]
        return [e for e in own if action is None or e.action == action]

    def preview(self) -> PriceChange:
        with self.database.session(self.author) as session:
            service.request_preview(session, self.id)
        return run_preview(self.database, self.worker, self.id, connector_for=self.shop.connector_for)

    def approve(self) -> PriceChange:
        with self.database.session(self.author) as session:
            change = service.submit(session, self.id)
        with self.database.session(self.approver) as session:
            return service.approve(session, self.id, str(change.plan_root))

    def start(self) -> PriceChange:
        with self.database.session(self.approver) as session:
            return service.start_apply(session, self.id)

    def run(self, settings: ApplySettings = QUICK, hooks: RunHooks | None = None) -> PriceChange:
        return run_apply(self.database, self.worker, self.id, self.shop.connector_for, settings, hooks)

    def to(self, state: ChangeState) -> "Journey":
        """Go on to a state on the straight way."""
        for reached, step in (
            (ChangeState.PREVIEWED, self.preview),
            (ChangeState.APPROVED, self.approve),
            (ChangeState.APPLYING, self.start),
        ):
            step()
            if reached is state:
                return self
        raise AssertionError(f"{state} is not on the straight way")
