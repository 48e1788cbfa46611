"""Sets a rehearsal up: a store, a server with a database of its own, people, an approved plan, a subscriber."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console

from calibr.access import create_tenant
from calibr.cli.client import Client
from calibr.cli.demo.processes import Launched, Processes
from calibr.cli.demo.workspace import Workspace
from calibr.cli.failures import FAILED, CliError
from calibr.cli.progress import Point, follow
from calibr.cli.rehearse.wish import Plan
from calibr.db import OpenDatabase
from calibr.settings import Settings, master_key

ACCESS_TOKEN: Final = "shpat_sandbox"  # noqa: S105 - the well-known token of a store that holds no secrets
LOOPBACK: Final = {"CALIBR_ALLOW_LOOPBACK_STORES": "true", "CALIBR_ALLOW_LOOPBACK_WEBHOOKS": "true"}
QUIET: Final = {**LOOPBACK, "CALIBR_LOG_LEVEL": "warning", "CALIBR_WORKER_ENABLED": "false"}
RULE: Final[dict[str, Any]] = {
    "selector": {"all": []},
    "transform": {"price": [{"op": "percent", "by": "-10"}]},
    "guardrails": [],
}


@dataclass(slots=True)
class Stage:
    """Everything that a rehearsal acts on."""

    plan: Plan
    processes: Processes
    notes: Console
    opened: OpenDatabase
    store: Launched
    server: Launched
    preparer: Launched
    author: Client
    approver: Client
    subscription_id: str | None = None
    tenant_id: str = ""
    change_id: str = ""
    plans: list[Path] = field(default_factory=list)

    @property
    def place(self) -> Workspace:
        """The directory of this run."""
        return self.processes.place

    @property
    def deliveries(self) -> Path:
        """Where the subscriber writes."""
        return self.place.root / "deliveries.jsonl"

    @contextmanager
    def admin(self) -> "Iterator[psycopg.Connection[Any]]":
        """A login that sees everything, to look and never to touch."""
        with psycopg.connect(self.opened.admin.conninfo(), autocommit=True) as connection:
            yield connection

    def close(self) -> None:
        """Give connections and the database back."""
        self.author.close()
        self.approver.close()
        self.opened.close()


MARKET: Final = "EU:EUR:10"
"""Its name, its currency, and how much dearer than base prices it is; every tenth product has a fixed price there."""

BULK_DELAY_S: Final = "0.7"
"""How long the store lets a file lie, and then takes for it: long enough for workers to be killed meanwhile."""


def open_stage(plan: Plan, processes: Processes, notes: Console) -> Stage:
    """Start store, database, server and a worker for the preparations, and make a tenant with its people."""
    place = processes.place
    store = processes.launch(
        "store",
        ["calibr_sandbox", "serve", "--db", str(place.store_file), "--plan", "enterprise", "--seed", str(plan.seed),
         "--bulk-delay", BULK_DELAY_S, *_filling(plan, place)],
    )  # fmt: skip
    # The installation that this person may have here has its own key and database.
    settings = Settings.load(data_dir=place.data_dir, secret_key=None, database_url=None)
    place.data_dir.mkdir(mode=0o711, exist_ok=True)
    opened = OpenDatabase.embedded(place.data_dir / "postgres", master_key(settings))
    try:
        return _furnished(plan, processes, notes, opened, store)
    except BaseException:
        opened.close()
        raise


def _furnished(plan: Plan, processes: Processes, notes: Console, opened: OpenDatabase, store: Launched) -> Stage:
    here = ["--json", "--data-dir", str(processes.place.data_dir)]
    server = processes.launch("server", ["calibr", "serve", "--port", "0", *here], QUIET)
    preparer = processes.launch("preparer", ["calibr", "worker", *here], {**QUIET, "CALIBR_POLL_S": "0.2"})
    made = create_tenant(opened.database, name="Rehearsal", admin_name="Ada")
    for process in (server, preparer, store):
        process.await_ready()
    admin = Client(server.url, made.token.reveal())
    approver = admin.post("/v1/users", {"name": "Petra", "role": "admin"})
    token = str(admin.post("/v1/tokens", {"name": "rehearsal", "user_id": approver["id"]})["token"])
    stage = Stage(plan, processes, notes, opened, store, server, preparer, admin, Client(server.url, token))
    stage.tenant_id = str(made.tenant_id)
    return stage


def _filling(plan: Plan, place: Workspace) -> list[str]:
    """What the store sells: a generated catalog, or what was copied."""
    if plan.copied is None:
        return ["--products", str(plan.items), *(["--markets", MARKET] if plan.market else [])]
    file = place.root / "catalog.csv"
    plan.copied.write_csv(file)
    return ["--csv", str(file), "--currency", plan.copied.currency]


def prepare_plan(stage: Stage) -> None:
    """Read the store's catalog and preview the rule."""
    api = stage.author
    body = {
        "kind": "shopify",
        "name": "store",
        "config": {"shop_url": stage.store.url, "write_path": str(stage.plan.path)},
        "secrets": {"access_token": ACCESS_TOKEN},
    }
    connection = api.post("/v1/connections", body)
    sync = api.post(f"/v1/connections/{connection['id']}/syncs")
    _until(stage, "reading the catalog", f"/v1/syncs/{sync['id']}", {"completed"}, {"failed"})
    body = {"name": "rehearsal", **(RULE if stage.plan.copied is None else stage.plan.copied.rule)}
    if stage.plan.market:
        body["price_list_ids"] = _read_price_lists(stage, f"/v1/connections/{connection['id']}/price-lists")
    change = api.post("/v1/price-changes", body)
    stage.change_id = str(change["id"])
    api.post(f"/v1/price-changes/{stage.change_id}/preview")
    path = f"/v1/price-changes/{stage.change_id}"
    _until(stage, "computing the plan", path, {"previewed"}, {"draft"})


def _read_price_lists(stage: Stage, path: str) -> list[str]:
    """Have the lists beside the base prices read, and return the ids of all."""
    stage.author.post(f"{path}/read")
    state: dict[str, Any] = {}

    def look() -> Point:
        state.update(stage.author.get(path))
        return Point(0, None, bool(state["problem"] or state["read_at"]))

    follow(stage.notes, "reading the price lists", look)
    if state["problem"]:
        raise CliError(f"reading the price lists failed: {state['problem']}", FAILED)
    return [str(row["id"]) for row in stage.author.pages("/v1/price-lists")]


def approve(stage: Stage, change_id: str) -> None:
    """Submit a plan, approve it as another person, and keep its rows as text."""
    path = f"/v1/price-changes/{change_id}"
    stage.author.post(f"{path}/submit")
    planned = stage.author.get(path)
    stage.approver.post(f"{path}/approve", {"plan_root": planned["plan_root"]})
    file = stage.place.root / f"plan-{len(stage.plans)}.txt"
    file.write_text("".join(f"{line}\n" for line in stage.author.lines(f"{path}/plan.txt")), encoding="utf-8")
    stage.plans.append(file)


def subscribe(stage: Stage) -> None:
    """Start the subscriber and have all events from now on delivered to it."""
    subscriber = stage.processes.launch(
        "subscriber", ["calibr.cli.rehearse.subscriber", str(stage.deliveries), str(stage.plan.seed)]
    )
    subscriber.await_ready()
    wanted = {"kind": "webhook", "name": "rehearsal", "config": {"url": subscriber.url}, "lanes": 16}
    made = stage.author.post("/v1/subscriptions", wanted)
    draft = stage.deliveries.with_suffix(".draft")
    draft.write_text(str(made["secret"]), encoding="utf-8")
    draft.rename(stage.deliveries.with_suffix(".secret"))
    stage.subscription_id = str(made["subscription"]["id"])


def dismiss_preparer(stage: Stage) -> None:
    """From here on only workers that may be killed are at work; nothing is under way, so that it need not be asked."""
    stage.preparer.process.kill()
    stage.preparer.end()
    stage.processes.running.remove(stage.preparer)


def checker_folder() -> Path:
    """The checker: inside the installed package, or `tests/chaos/checker` of the repository."""
    packed = Path(__file__).parent / "checker"
    return packed if packed.is_dir() else Path(__file__).parents[4] / "tests" / "chaos" / "checker"


def _until(stage: Stage, label: str, path: str, good: set[str], bad: set[str]) -> None:
    seen: dict[str, Any] = {}

    def look() -> Point:
        seen.update(stage.author.get(path))
        done = int(seen.get("rows_read") or (seen.get("summary") or {}).get("items") or 0)
        return Point(done, seen.get("rows_total"), seen["state"] in good | bad)

    follow(stage.notes, label, look)
    if seen["state"] in bad:
        raise CliError(f"{label} failed: {json.dumps(seen.get('error'))}", FAILED)
